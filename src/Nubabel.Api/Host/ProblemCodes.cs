using System.Collections.Frozen;
using System.Text;

namespace Nubabel.Api.Host;

/// <summary>One kind of problem: its stable code, the status it is answered with, its title, and when it happens.</summary>
public sealed record ProblemCode(string Code, int Status, string Title, string When)
{
    public string Type => ProblemCodes.Base + Code;
}

/// <summary>
/// Every code an answer can carry. <c>docs/problems.md</c> is generated from it, and a test fails on a code that the source throws and
/// this table does not know, so that a client can look up whatever it is told.
/// </summary>
public static partial class ProblemCodes
{
    /// <summary>Problem types are documented URIs: this followed by the code.</summary>
    public const string Base = "https://nubabel.dev/problems/";

    public static IReadOnlyList<ProblemCode> All { get; } = [.. Edge, .. Slices];

    private static readonly FrozenDictionary<string, ProblemCode> ByCode = All.ToFrozenDictionary(p => p.Code);

    public static ProblemCode? Find(string code) => ByCode.GetValueOrDefault(code);

    /// <summary>The entry of a code; of an unknown one (a test forbids it) an entry that is at least true.</summary>
    public static ProblemCode Of(string code, int status) => Find(code) ?? new ProblemCode(code, status, TitleOf(status), "");

    /// <summary>The text of <c>docs/problems.md</c>.</summary>
    public static string Markdown()
    {
        var text = new StringBuilder();
        text.Append("# Problems\n\n")
            .Append("Every answer that is not 2xx or 3xx is an `application/problem+json` (RFC 9457) with `type`, `title`, `status`, `code`, `detail`, `requestId` and, where members\n")
            .Append("are at fault, `errors: [{field, code, message}]`. `type` is `").Append(Base).Append("` followed by the code. Codes are stable; texts are not.\n\n")
            .Append("This page is generated from `src/Nubabel.Api/Host/ProblemCodes*.cs`.\n\n")
            .Append("| code | status | title | when |\n|---|---|---|---|\n");
        foreach (var p in All.OrderBy(p => p.Code, StringComparer.Ordinal))
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $"| `{p.Code}` | {p.Status} | {p.Title} | {p.When} |\n");
        return text.ToString();
    }

    /// <summary>What a bare status means, for answers that an endpoint or the framework gave without a body.</summary>
    internal static string CodeOf(int status) => status switch
    {
        400 => "request.malformed",
        401 => "credential.missing",
        403 => "permission.denied",
        404 => "resource.missing",
        405 => "route.method_not_allowed",
        406 => "request.not_acceptable",
        408 => "request.too_slow",
        409 => "resource.conflict",
        412 => "resource.version_mismatch",
        413 => "request.body_too_large",
        414 => "request.url_too_long",
        415 => "request.media_type",
        429 => "limit.exceeded",
        431 => "request.headers_too_large",
        503 => "service.unavailable",
        504 => "request.timeout",
        < 500 => "request.refused",
        _ => "internal.error",
    };

    private static string TitleOf(int status) => Find(CodeOf(status))?.Title ?? "Refused";
}
