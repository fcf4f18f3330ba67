using System.Text.Json;
using Nubabel.Api.Host.Rates;
using Nubabel.Api.Host.Tokens;

namespace Nubabel.Api.Host;

/// <summary>
/// Finds out who calls, from the credential alone, and whether the route is open to them. It runs before anything is read, charged or looked up for
/// a tenant.
/// </summary>
public static class Authentication
{
    /// <summary>Where an API key may stand instead of in <c>Authorization</c>.</summary>
    public const string KeyHeader = "X-Api-Key";

    public static void UseAuthentication(this WebApplication app, AccessTokens tokens, ApiKeyCheck keys, RevokedSessions revoked, Standings standings, RateLimits limits) => app.Use(async (context, next) =>
    {
        // No endpoint: the 404 for unknown paths is the same for everyone.
        if (context.GetEndpoint() is not { } endpoint || endpoint.Metadata.GetMetadata<Access>() is not { Permission: { } permission } access)
        {
            await next(context);
            return;
        }
        var credential = Credential(context.Request);
        var caller = await (ApiKeyText.Claims(credential) ? keys.Check(credential) : tokens.Check(credential, context.RequestAborted));
        if (!revoked.IsLoaded) throw Problem.RetryLater("service.unavailable", "The server is starting.", 1);
        if (!access.EvenEnded && revoked.Contains(caller.Session)) throw Unauthorized("credential.revoked", "The session has ended.");
        // Ending a session that has ended needs no account that still lives.
        try
        {
            if (!access.EvenEnded) caller = await standings.Now(caller);
        }
        catch (Problem stopped) when (stopped.Status == StatusCodes.Status403Forbidden)
        {
            // Who is suspended is known all the same, and asks no oftener than others.
            if (!await limits.Admit(context, caller)) return;
            throw;
        }
        // Charged once it is certain who calls: a wrong credential spends nobody's limit.
        if (!await limits.Admit(context, caller)) return;
        // Known from here on, also to the record of who was denied what.
        context.RequestServices.GetRequiredService<RequestScope>().Caller = caller;
        var needed = access.Of(caller, context.Request.RouteValues) ?? permission;
        if (caller.Realm != access.Realm || !caller.May(needed)) throw PermissionDenied.Of(needed);
        await next(context);
    });

    internal static Problem Unauthorized(string code, string detail) => new(code, detail)
    {
        Headers = new Dictionary<string, string> { ["WWW-Authenticate"] = code == "credential.missing" ? "Bearer" : "Bearer error=\"invalid_token\"" },
    };

    private static string Credential(HttpRequest request)
    {
        var (header, key) = (request.Headers.Authorization, request.Headers[KeyHeader]);
        // Which of two callers is meant, nobody guesses.
        if (header.Count > 0 && key.Count > 0) throw new Problem("credential.ambiguous", $"The request has both Authorization and {KeyHeader}; send one of them.");
        if (key.Count > 0)
            return key is [{ } alone] && ApiKeyText.Claims(alone.Trim()) ? alone.Trim() : throw Unauthorized("credential.invalid", $"{KeyHeader} holds no API key.");
        if (header.Count == 0) throw Unauthorized("credential.missing", "The route needs a credential: Authorization: Bearer …");
        const string scheme = "Bearer ";
        return header.Count == 1 && header[0] is { } value && value.StartsWith(scheme, StringComparison.OrdinalIgnoreCase)
            ? value[scheme.Length..].Trim()
            : throw Unauthorized("credential.invalid", "The credential is not a bearer token.");
    }
}
