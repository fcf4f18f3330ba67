using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.Tokens;
using Nubabel.Domain;
using Nubabel.Domain.Sessions;
using Nubabel.Projections;
using Nubabel.Store;
using Positions = Nubabel.Api.Host.Positions;

namespace Nubabel.Api;

/// <summary>What sign-up, the two sign-ins and refresh have in common: the session they open or continue and the token answer.</summary>
public sealed class SignIns(Node node, Settings settings, AccessTokens tokens, RefreshTokens refreshTokens)
{
    private readonly byte[] emailKey = node.Root.Derive("email-lookup");
    private readonly AnswerSeal seal = new(node.Root);

    /// <summary>What an address is looked up by: a MAC, so that the database does not say who has an account.</summary>
    public string EmailKey(string tenant, Email email) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(emailKey, Encoding.UTF8.GetBytes($"{tenant}|{email.Normalised}")));

    /// <summary>The same of what somebody typed, which may be no address: every text counts as one that nobody has.</summary>
    public string AddressKey(string realm, string text) =>
        Email.TryParse(text, out var email) ? EmailKey(realm, email) : Convert.ToHexStringLower(HMACSHA256.HashData(emailKey, Encoding.UTF8.GetBytes($"{realm}|no address|{text}")));

    /// <summary>
    /// The command that opens the caller's session, and the answer to it, made before the commit: under an idempotency key it is kept, sealed, in the
    /// command's own transaction.
    /// </summary>
    /// <param name="password">Which of the account's passwords it is.</param>
    public async Task<(OpenSession Open, TokenAnswer Answer)> Prepare(Journal journal, RequestScope scope, Caller caller, CancellationToken ct, int password = 0)
    {
        var token = refreshTokens.Of(caller.Tenant, caller.Session, 0);
        var now = journal.Now();
        var holder = caller.Actor.Subject;
        var open = new OpenSession(
            token.Hash, now + settings.RefreshLife, now + settings.SessionLife,
            scope.Ip is { } ip ? await node.Seal(caller.Tenant, holder, ip, ct) : null,
            scope.Agent is { } agent ? await node.Seal(caller.Tenant, holder, agent, ct) : null,
            password == 0 ? null : password);
        var answer = await tokens.Issue(caller, token, ct);
        Keep(journal, answer);
        return (open, answer);
    }

    /// <summary>Puts the answer, sealed, into the record of the request's idempotency key: a token is not signed twice alike.</summary>
    public void Keep(Journal journal, TokenAnswer answer)
    {
        if (journal.Once is { } once) journal.Once = seal.Into(once, journal.Tenant, JsonSerializer.SerializeToUtf8Bytes(answer, Json.Options));
    }

    /// <summary>Opens the caller's session and answers with its tokens.</summary>
    /// <param name="with">What is committed with it.</param>
    public async Task<IResult> SignIn(RequestScope scope, Caller caller, CancellationToken ct, int password = 0, IReadOnlyList<Step>? with = null)
    {
        var journal = scope.JournalFor(caller.Tenant, caller.Actor);
        var (open, answer) = await Prepare(journal, scope, caller, ct, password);
        var session = new Step<Session>(caller.Session, open, fresh: true);
        await journal.Commit([.. with ?? [], session], ct);
        return Answer(StatusCodes.Status200OK, answer, session.Outcome.Position);
    }

    /// <summary>A token answer; never cached (RFC 6749 §5.1).</summary>
    public IResult Answer(int status, TokenAnswer answer, long position) => new TokenResult(status, answer, position, node);

    private sealed class TokenResult(int status, TokenAnswer answer, long position, Node node) : IResult
    {
        public async Task ExecuteAsync(HttpContext httpContext)
        {
            var response = httpContext.Response;
            response.StatusCode = status;
            response.Headers[Positions.Header] = Positions.Format(node.Database.Shard, position);
            response.Headers.CacheControl = "no-store";
            response.ContentType = "application/json";
            await response.Body.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(answer, Json.Options), httpContext.RequestAborted);
        }
    }
}
