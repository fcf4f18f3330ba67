namespace Nubabel.Api.Host;

/// <summary>A member at fault: where it stands (<c>organization.name</c>, <c>rules[0].percentage</c>), why, and a sentence for a developer.</summary>
public sealed record FieldError(string Field, string Code, string Message);

/// <summary>
/// An answer that is not a success, thrown by the edge and its endpoints wherever it becomes clear. Decisions and value types, which know
/// no HTTP, throw <see cref="Domain.Refused"/> instead. Status and title come from <see cref="ProblemCodes"/>.
/// </summary>
/// <param name="code">A catalogued code.</param>
/// <param name="detail">One sentence for a developer: no personal data, no internals.</param>
public sealed class Problem(string code, string? detail = null) : Exception(detail ?? code)
{
    public string Code => code;
    public string? Detail => detail;
    public int Status { get; init; } = ProblemCodes.Of(code, StatusCodes.Status500InternalServerError).Status;
    public string Title => ProblemCodes.Of(code, Status).Title;
    public IReadOnlyList<FieldError> Errors { get; init; } = [];

    /// <summary>Headers of the answer, such as <c>Retry-After</c> or the current <c>ETag</c>.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; init; } = NoHeaders;

    /// <summary>Further members of the body, such as <c>required</c>, <c>have</c>, <c>want</c> or RFC 6749's <c>error</c>.</summary>
    public IReadOnlyDictionary<string, object?> Members { get; init; } = NoMembers;

    private static readonly Dictionary<string, string> NoHeaders = [];
    private static readonly Dictionary<string, object?> NoMembers = [];

    /// <summary>The answer to a wait that the caller should repeat.</summary>
    public static Problem RetryLater(string code, string detail, int retryAfterSeconds) => new(code, detail)
    {
        Headers = new Dictionary<string, string> { ["Retry-After"] = retryAfterSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture) },
    };

    /// <summary>One member of the body or the query is at fault.</summary>
    public static Problem At(string field, string code, string message) => new(code, message) { Errors = [new FieldError(field, code, message)] };
}
