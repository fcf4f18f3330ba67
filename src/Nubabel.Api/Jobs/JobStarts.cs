using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Jobs;
using Nubabel.Projections;
using Nubabel.Projections.Jobs;
using Nubabel.Store;

namespace Nubabel.Api.Jobs;

/// <summary>
/// How an endpoint starts a job: <c>return await jobs.Start(Exports.Bundle, body, ct);</c>, on a route with <c>.Starts(Exports.Bundle)</c>. The job is the
/// caller's, in the caller's tenant; an operator's is the platform's.
/// </summary>
public sealed class JobStarts(RequestScope scope, Node node)
{
    /// <summary>Starts a job and answers 202 with it and its place. Its event and its message are one commit; an <c>Idempotency-Key</c> starts it once.</summary>
    /// <param name="headers">Facts about the message, kept with a dead letter.</param>
    public async Task<IResult> Start<TBody>(JobDefinition<TBody> definition, TBody body, CancellationToken ct, IReadOnlyDictionary<string, string>? headers = null) where TBody : notnull
    {
        var caller = scope.Caller;
        if (!caller.May(definition.Permission)) throw PermissionDenied.Of(definition.Permission);
        var id = scope.Ids.New<Job>();
        var journal = scope.Journal;
        journal.Enqueue(new Message(definition.Message(body)) { Id = id.Value, Headers = headers });
        var job = await journal.Create(id, new StartJob(definition.Kind), ct);
        // As it was started, also where the request is a repeated one: the answer is that of the first.
        var row = job.Row<JobRow>()!;
        var place = caller.Realm == Realm.Platform ? $"/api/admin/jobs/{id}" : $"/api/jobs/{id}";
        return new JobAnswer(StatusCodes.Status202Accepted, JobView.Of(row, new JobStanding(null, false)), place, Host.Positions.Format(node.Database.Shard, job.Position));
    }
}

/// <summary>How routes say that they start a job.</summary>
public static class JobRoutes
{
    /// <summary>Needs the definition's permission and answers 202 with the job.</summary>
    public static RouteHandlerBuilder Starts<TBody>(this RouteHandlerBuilder route, JobDefinition<TBody> definition) where TBody : notnull =>
        route.Needs(definition.Permission).Produces<JobView>(StatusCodes.Status202Accepted);
}
