using System.Net.Sockets;
using System.Text.RegularExpressions;
using Npgsql;
using Nubabel.Domain;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Host;

/// <summary>Which answer an exception becomes. Everything that is not known here is a fault of ours: 500 with the request id and nothing else.</summary>
internal static partial class Failures
{
    private const int DatabaseRetryAfterSeconds = 2;
    private const int OutcomeRetryAfterSeconds = 1;

    // Another node of a newer build may read it now, or somebody will have repaired it; neither happens in seconds.
    private const int UnreadableRetryAfterSeconds = 60;

    /// <param name="inRoute">Whether a parameter stands in the path; one that cannot be read there names nothing that exists.</param>
    public static Problem ProblemOf(Exception e, Func<string, bool> inRoute) => e switch
    {
        Problem problem => problem,
        Refused refused => Of(refused),
        BadHttpRequestException bad => Of(bad, inRoute),
        VersionMismatch mismatch => Of(mismatch),
        OutcomeUnknown => Problem.RetryLater("outcome.unknown",
            "The connection broke while the change was being committed. Retry with the same Idempotency-Key.", OutcomeRetryAfterSeconds),
        TooMuchHistory => Problem.RetryLater("database.unavailable", "Too many long histories are being read right now.", DatabaseRetryAfterSeconds),
        SubjectErased => new Problem("erasure.subject_erased", "The person is erased, or the period is over for which personal data of this is kept."),
        UnreadableEvent => Problem.RetryLater("stream.unreadable", "The history of this resource holds something that cannot be read; an operator must see to it.", UnreadableRetryAfterSeconds),
        TooManyCommits => Problem.RetryLater("database.unavailable", "Too many changes wait for the database right now.", DatabaseRetryAfterSeconds),
        PostgresException { SqlState: PostgresErrorCodes.QueryCanceled } => new Problem("request.timeout", "A database statement ran too long."),
        _ when IsDatabaseUnavailable(e) => Problem.RetryLater("database.unavailable", "The database cannot be reached right now.", DatabaseRetryAfterSeconds),
        // Neither the client nor the time limit ended it (both are handled before): the server is stopping.
        OperationCanceledException => Problem.RetryLater("service.unavailable", "The request was interrupted by the server.", OutcomeRetryAfterSeconds),
        _ => new Problem("internal.error"),
    };

    public static Problem Of(Refused refused)
    {
        var status = refused.Kind switch
        {
            RefusalKind.Invalid => StatusCodes.Status422UnprocessableEntity,
            RefusalKind.Missing => StatusCodes.Status404NotFound,
            RefusalKind.Conflict => StatusCodes.Status409Conflict,
            RefusalKind.Denied => StatusCodes.Status403Forbidden,
            _ => StatusCodes.Status500InternalServerError,
        };
        return new Problem(refused.Code, refused.Message)
        {
            Status = status,
            Errors = refused.Field is { } field ? [new FieldError(field, refused.Code, refused.Message)] : [],
        };
    }

    /// <summary>
    /// Kestrel's and the binder's own refusals. Their messages name .NET types, so they are never shown; a parameter's name is a part of
    /// the contract and is.
    /// </summary>
    private static Problem Of(BadHttpRequestException bad, Func<string, bool> inRoute)
    {
        if (bad.StatusCode != StatusCodes.Status400BadRequest) return new Problem(ProblemCodes.CodeOf(bad.StatusCode)) { Status = bad.StatusCode };
        var parameter = ParameterName().Match(bad.Message);
        if (parameter.Success && inRoute(parameter.Groups[1].Value)) return new Problem("resource.missing");
        return parameter.Success
            ? Problem.At(parameter.Groups[1].Value, "query.invalid", "The parameter is missing or cannot be read as its type.")
            : new Problem("request.malformed", "The request cannot be read.");
    }

    private static Problem Of(VersionMismatch mismatch) => new("resource.version_mismatch", "The resource has changed since; ETag shows the current version.")
    {
        Headers = new Dictionary<string, string> { ["ETag"] = ETags.Of(mismatch.Actual) },
    };

    /// <summary>The database is away, stopping, starting, full or fenced off: nothing a client did, and likely to pass.</summary>
    public static bool IsDatabaseUnavailable(Exception e) => e switch
    {
        PostgresException p => p.IsTransient || p.SqlState.StartsWith("08", StringComparison.Ordinal) || p.SqlState.StartsWith("57P0", StringComparison.Ordinal)
            // The login is refused or the database is gone: an operator's doing, whatever the client asks.
            || p.SqlState.StartsWith("28", StringComparison.Ordinal) || p.SqlState == PostgresErrorCodes.InvalidCatalogName
            || p.SqlState is PostgresErrorCodes.TooManyConnections or PostgresErrorCodes.ReadOnlySqlTransaction,
        NpgsqlException n => n.IsTransient || n.InnerException is SocketException or IOException or TimeoutException,
        _ => false,
    };

    [GeneratedRegex("""^(?:Failed to bind parameter|Required parameter) "\S+ (\w+)" """, RegexOptions.CultureInvariant)]
    private static partial Regex ParameterName();
}
