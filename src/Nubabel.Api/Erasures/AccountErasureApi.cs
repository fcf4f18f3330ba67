using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Api.Host.Tokens;
using Nubabel.Domain;
using Nubabel.Domain.Erasures;
using Nubabel.Domain.Sessions;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.Sessions;
using Nubabel.Store;

namespace Nubabel.Api.Erasures;

/// <summary>The wish to be erased. The password may be left out by who has signed in a moment ago.</summary>
public sealed record AccountErasure(string? Password = null)
{
    // A record prints its members; this must not be in a log.
    public override string ToString() => "(account erasure)";
}

/// <summary>The end of one's own account, and the receipt for it.</summary>
public static class AccountErasureApi
{
    /// <summary>How long a sign-in shows that it is the person who asks, and not somebody at an open screen.</summary>
    public static readonly TimeSpan Recent = TimeSpan.FromMinutes(15);

    public static void MapAccountErasure(this IEndpointRouteBuilder app)
    {
        foreach (var path in new[] { "/api/user/account", "/api/user" })
            app.MapDelete(path, Erase).WithTags("User").NeedsEvenEnded("user:erase").Answers200<Receipt>().Produces<Receipt>(StatusCodes.Status202Accepted)
                .WithExample("""{"password":"correct horse battery"}""", ErasureAnswers.Example);
        // What statements are verified by, audit checkpoints included: who has been erased has no credential.
        app.MapGet("/.well-known/audit-keys.json", async (Node node, CancellationToken ct) => Results.Text((await ChainKeys.Published(node.Database.Api, ct)).ToJsonString(), "application/json"))
            .WithTags("Audit").Anonymous().Answers200<JwkSet>();
        app.MapGet("/api/erasure-receipts/{code}", Ask).WithTags("User").Anonymous().Answers200<Receipt>().WithExample(response: ErasureAnswers.Asked);
    }

    /// <summary>
    /// Who is erased has no account and no session any more, and may ask again with the token all the same, so the route is open to it; everybody else is looked
    /// at here as at any other route. The request's idempotency key takes no part: there is one erasure of a person, however often it is asked for.
    /// </summary>
    private static async Task<IResult> Erase(
        Body<AccountErasure>? body, HttpContext http, RequestScope scope, RevokedSessions revoked, Standings standings, Passwords passwords, LockOut lockOut, Erasures erasures,
        ErasureAnswers answers, CancellationToken ct)
    {
        var (caller, person) = (scope.Caller, scope.Caller.User);
        var journal = scope.JournalBeside(caller.Tenant, caller.Actor, caller.Actor.Subject);
        var erasure = await journal.Load(Erasures.Of(person), ct);
        if (erasure.State.Status == ErasureStatus.None)
        {
            try
            {
                if (revoked.Contains(caller.Session)) throw Authentication.Unauthorized("credential.revoked", "The session has ended.");
                await standings.Now(caller);
                await Prove(body?.Value, scope, journal, passwords, lockOut, ct);
                erasure = await erasures.Begin(journal, person, ErasureWish.Person, ct);
            }
            catch (Problem gone) when (gone.Code == "credential.revoked")
            {
                // Asked at another node at the same moment, it was begun there after it was looked for here.
                erasure = await journal.Load(Erasures.Of(person), ct);
                if (erasure.State.Status == ErasureStatus.None) throw;
            }
        }
        return await answers.Carried(erasure, caller.Tenant, http, ct);
    }

    /// <summary>Asked by anybody who has the code.</summary>
    private static async Task<IResult> Ask(string code, HttpContext http, Node node, Receipts receipts, CancellationToken ct)
    {
        if (ReceiptCode.Parse(code) is not { } asked) throw Erasure.Missing();
        var erasure = await node.Journal(asked.Tenant, new Origin("system:receipt")).Load(Erasures.Of(asked.Person), ct);
        var receipt = erasure.State.Status == ErasureStatus.None ? await receipts.OfLedger(asked, ct)
            : erasure.State.CodeHash == asked.Hash ? await receipts.Of(asked.Tenant, erasure, withCode: false, ct)
            : null;
        http.Response.Headers.CacheControl = "no-store";
        return Results.Json(receipt ?? throw Erasure.Missing(), Json.Options);
    }

    private static async Task Prove(AccountErasure? wish, RequestScope scope, Journal journal, Passwords passwords, LockOut lockOut, CancellationToken ct)
    {
        var caller = scope.Caller;
        if (wish?.Password is not { } password)
        {
            var session = await journal.Load(caller.Session, ct);
            if (session.Row<SessionRow>() is { } opened && journal.Now() - opened.OpenedAt < Recent) return;
            throw new Problem("erasure.proof_required", $"The sign-in is older than {Recent.TotalMinutes:0} minutes: send the password, or sign in again.");
        }
        var account = (await journal.Load(caller.User, ct)).State;
        // Who has stolen a session must not guess faster here than at the sign-in.
        using var attempt = await lockOut.Begin(caller.Tenant, account.EmailKey, ct);
        if (await passwords.Verify(account.PasswordHash, password, ct) == Verdict.Wrong)
        {
            await attempt.Fail(scope, Streams.Of(caller.User));
            throw Problem.At("password", "password.current_wrong", "The current password is wrong.");
        }
    }
}
