using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Api.Host.Tokens;
using Nubabel.Api.Sessions;
using Nubabel.Domain;
using Nubabel.Domain.ApiKeys;
using Nubabel.Domain.Operators;
using Nubabel.Domain.Sessions;
using Nubabel.Projections;
using Nubabel.Projections.Operators;
using Nubabel.Store;

namespace Nubabel.Api.Operators;

/// <summary>An operator's sign-in.</summary>
public sealed record OperatorSignIn(string Email, string Password)
{
    public override string ToString() => "(sign-in)";
}

/// <summary>The operators' realm: their own sign-in, whose tokens count under <c>/admin</c> and <c>/api/admin</c> only.</summary>
public static class OperatorsApi
{
    public static void MapOperators(this IEndpointRouteBuilder app)
    {
        var auth = app.MapGroup("/admin/auth").WithTags("Operators");
        auth.MapPost("/sign-in", SignIn).Anonymous().Answers200<TokenAnswer>().WithExample("""{"email":"operator@nubabel.localhost","password":"correct horse battery"}""", TokenAnswer.Example);
        auth.MapPost("/refresh", Refresh).Anonymous().Answers200<TokenAnswer>().WithExample(Sessions.Refresh.Example, TokenAnswer.Example);
        auth.MapPost("/sign-out", SignOut).NeedsEvenEnded("platform:sessions").Answers204();
    }

    private static async Task<IResult> SignIn(Body<OperatorSignIn> body, RequestScope scope, Node node, Passwords passwords, LockOut lockOut, SignIns signIns, CancellationToken ct)
    {
        var (wish, ids) = (body.Value, scope.Ids);
        var key = signIns.AddressKey(Node.Platform, wish.Email);
        using var attempt = await lockOut.Begin(Node.Platform, key, ct);
        var reader = node.Journal(Node.Platform, new Origin("system:sign-in"));
        var holder = await reader.Holder("operator-email", key, ct);
        var id = Id<Operator>.TryParse(holder?["operator-".Length..], null, out var found) ? found : ids.New<Operator>();
        var account = (await reader.Load(id, ct)).State;
        var verdict = await passwords.Verify(account.Status == OperatorStatus.Active ? account.PasswordHash : null, wish.Password, ct, Lane.Operators);
        if (verdict == Verdict.Wrong)
        {
            await attempt.Fail(scope, holder);
            throw new Problem("sign_in.failed", "The e-mail address or the password is wrong.") { Members = new Dictionary<string, object?> { ["error"] = "invalid_grant" } };
        }
        return await signIns.SignIn(scope, new Caller(Realm.Platform, Node.Platform, id.Value, ids.New<Session>(), "operator"), ct, with: attempt.Cleared());
    }

    private static async Task<IResult> Refresh(Body<Refresh> body, RequestScope scope, Refreshes refreshes, CancellationToken ct) =>
        await refreshes.Handle(body.Value.RefreshToken, Realm.Platform, scope, ct);

    private static async Task<IResult> SignOut(Caller caller, Journal journal, Answers answers, CancellationToken ct) =>
        answers.Gone(await journal.Handle(caller.Session, new RevokeSession(SessionEnd.SignedOut), ct));

    /// <summary>Adds an operator: from the command line, and at the first start in Development.</summary>
    public static async Task<Id<Operator>> Add(Node node, SignIns signIns, Passwords passwords, Email email, Password password, CancellationToken ct)
    {
        var id = new Id<Operator>(Guid.CreateVersion7(node.Time.GetUtcNow()));
        var command = new AddOperator(
            await node.Seal(Node.Platform, Streams.Of(id), email.Value, ct), signIns.EmailKey(Node.Platform, email), await passwords.Hash(password, ct));
        await CommandLine(node).Create(id, command, ct);
        return id;
    }

    /// <summary>Removes the operator with this address: every node refuses the account, and the keys that it made, within a second. Only from the command line.</summary>
    /// <exception cref="Refused"><c>operator.missing</c>.</exception>
    public static async Task<Id<Operator>> Remove(Node node, SignIns signIns, Email email, CancellationToken ct)
    {
        var journal = CommandLine(node);
        var holder = await journal.Holder("operator-email", signIns.EmailKey(Node.Platform, email), ct);
        Id<Operator> id = Id<Operator>.TryParse(holder?["operator-".Length..], null, out var found) ? found : default;
        var removed = new Step<Operator>(id, new RemoveOperator());
        await journal.Commit([.. await KeysOf(Actor.Operator(id.Value), journal, ct), removed], ct);
        return removed.Outcome.Id;
    }

    /// <summary>Ends the keys that the operator made: whoever goes must not have left a way in.</summary>
    private static async Task<IEnumerable<Step>> KeysOf(Actor maker, Journal journal, CancellationToken ct)
    {
        var streams = new List<StreamName<ApiKey>>();
        foreach (var slot in await journal.Claimed(ApiKey.SlotScope, ct))
            if (await journal.Holder(ApiKey.SlotScope, slot, ct) is { } stream) streams.Add(new StreamName<ApiKey>(stream));
        return (await journal.Load<ApiKey>(streams, ct)).Where(key => key.State.Maker == maker.ToString()).Select(key => new Step<ApiKey>(key.Stream, new RevokeApiKey()));
    }

    /// <summary>Every operator with the address in the clear; null where it has been erased.</summary>
    public static async Task<IReadOnlyList<(OperatorEntry Operator, string? Email)>> All(Node node, CancellationToken ct)
    {
        var all = await OperatorEntry.All(node.Everyones, CommandLine(node), ct);
        var addresses = await node.Reader(Node.Platform).Open([.. all.Select(o => (ReadOnlyMemory<byte>)JsonSerializer.SerializeToUtf8Bytes(o.Email, StoredJson.Options))], ct);
        return [.. all.Zip(addresses, (o, address) => (o, JsonSerializer.Deserialize<string?>(address.Span)))];
    }

    private static Journal CommandLine(Node node) => node.Journal(Node.Platform, new Origin("system:command-line"));
}
