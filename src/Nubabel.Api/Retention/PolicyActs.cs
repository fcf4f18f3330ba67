using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Retention;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Retention;

/// <summary>How long a category is kept, as it is shown.</summary>
/// <param name="Holds">What the category holds.</param>
/// <param name="Counted">From when on its age is counted.</param>
/// <param name="Does">What becomes of what is older.</param>
/// <param name="Source">Who says so: <c>product</c>, <c>platform</c> or <c>organization</c>.</param>
/// <param name="Inherited">The period without what was said here.</param>
/// <param name="SetBy">Who may say another one.</param>
public sealed record PolicyView(string Category, string Holds, string Counted, string Does, int Days, string Source, int Inherited, int Shortest, int Longest, PeriodSetter SetBy)
{
    public static PolicyView Of(EffectivePolicy p) =>
        new(p.Category.Name, p.Category.Holds, p.Category.Counted, p.Category.Act.Word, p.Days, p.Source, p.Inherited, p.Category.Shortest, p.Category.Longest, p.Category.Setter);
}

/// <summary>What owners and operators do with periods. The entity tag is the version of what was said here; where nothing ever was there is none.</summary>
public sealed class PolicyActs(Node node, RetentionCategories categories, RetentionPolicies policies)
{
    /// <summary>The category that the path names.</summary>
    /// <exception cref="Refused">There is none, or it is the platform's.</exception>
    public RetentionCategory Known(string name, Realm realm) =>
        categories.Find(name) is { } found && (realm == Realm.Platform || found.Setter != PeriodSetter.Platform)
            ? found : throw new Refused(RefusalKind.Missing, "retention.category_missing", "There is no such category.");

    public async Task<IResult> Found(HttpContext http, Journal journal, RetentionCategory category, CancellationToken ct)
    {
        var version = (await journal.Load(RetentionPolicies.StreamOf(category.Name), ct)).Version;
        if (version > 0 && ETags.IsKnown(http, version)) return Results.StatusCode(StatusCodes.Status304NotModified);
        return Results.Json(await View(journal, category, ct), Json.Options);
    }

    public async Task<IResult> Set(Journal journal, RetentionCategory category, int days, Func<long, bool>? matches, CancellationToken ct)
    {
        RequireSetter(journal, category);
        var set = await journal.Handle(RetentionPolicies.StreamOf(category.Name), new SetRetentionPolicy(days, category.Shortest, category.Longest), ct, matches);
        return new Answer(JsonSerializer.SerializeToUtf8Bytes(await View(journal, category, ct), Json.Options), set.Version, Host.Positions.Format(node.Database.Shard, set.Position));
    }

    public async Task<IResult> Clear(Journal journal, RetentionCategory category, Func<long, bool>? matches, CancellationToken ct)
    {
        RequireSetter(journal, category);
        var cleared = await journal.Handle(RetentionPolicies.StreamOf(category.Name), new ClearRetentionPolicy(), ct, matches);
        return new Answer(null, null, Host.Positions.Format(node.Database.Shard, cleared.Position));
    }

    private static void RequireSetter(Journal journal, RetentionCategory category)
    {
        if (category.Setter == PeriodSetter.Nobody) throw new Refused(RefusalKind.Conflict, "retention.fixed", "This period is part of a contract or of the configuration.");
        if (category.Setter == PeriodSetter.Platform && journal.Tenant != Node.Platform) throw new InvalidOperationException("The category is the platform's.");
    }

    private async Task<PolicyView> View(Journal journal, RetentionCategory category, CancellationToken ct) =>
        PolicyView.Of((await policies.Of(journal.Tenant, ct)).First(p => p.Category.Name == category.Name));

    private sealed class Answer(byte[]? body, long? version, string position) : IResult
    {
        public async Task ExecuteAsync(HttpContext httpContext)
        {
            var response = httpContext.Response;
            response.StatusCode = body is null ? StatusCodes.Status204NoContent : StatusCodes.Status200OK;
            if (version is { } v) response.Headers.ETag = ETags.Of(v);
            response.Headers[Host.Positions.Header] = position;
            if (body is null) return;
            response.ContentType = "application/json";
            response.ContentLength = body.Length;
            await response.Body.WriteAsync(body, httpContext.RequestAborted);
        }
    }
}
