using System.Reflection;
using Microsoft.AspNetCore.Http.Metadata;
using Nubabel.Api.Host;
using Nubabel.Projections.Audit;

namespace Nubabel.Api.Audit;

/// <summary>What is asked of the trail, of the list and of an export alike: the filters as the query names them.</summary>
/// <param name="Filter">What the index finds.</param>
/// <param name="Text">What must stand in what is read of an entry; null for anything.</param>
internal sealed record TrailQuery(AuditTrail.Filter Filter, string? Text) : IEndpointParameterMetadataProvider
{
    public const int LongestText = 200;

    private static readonly string[] Filters = ["actor", "action", "object", "from", "to", "outcome", "without"];

    /// <summary>The filters as a record of an export keeps them: of a text only that there was one, since it may be a person's name.</summary>
    public IReadOnlyList<string> Told { get; init; } = [];

    /// <summary>An action that is left out: a trail that is read often is full of reads.</summary>
    public string? Without { get; init; }

    /// <summary>Whether entries must be looked at, because no index finds what is asked for.</summary>
    public bool NeedsLook => Text is not null || Without is not null;

    public bool Wants(AuditTrail.Entry entry) => entry.Row.Action != Without;

    public bool Wants(ToldEntry entry) => Text is null || entry.Mentions(Text);

    /// <exception cref="Problem">One of them is no filter.</exception>
    public static ValueTask<TrailQuery?> BindAsync(HttpContext context)
    {
        var query = context.Request.Query;
        var text = TextOf(query["q"]);
        var filter = new AuditTrail.Filter(query["actor"], query["action"], query["object"], Time(query, "from"), Time(query, "to"), Outcome(query["outcome"]));
        var told = Filters.Where(name => query[name].Count > 0).Select(name => $"{name}={Bounded(query[name].ToString())}");
        return ValueTask.FromResult<TrailQuery?>(new TrailQuery(filter, text) { Without = query["without"], Told = text is null ? [.. told] : [.. told, "q"] });
    }

    public static void PopulateMetadata(ParameterInfo parameter, EndpointBuilder builder) => builder.Metadata.Add(new QueryNames([.. Filters, "q"]));

    private static string Bounded(string text) => text.Length <= LongestText ? text : text[..LongestText];

    private static string? Outcome(string? text) =>
        text is null || AuditTrail.Outcomes.Contains(text) ? text : throw Problem.At("outcome", "query.invalid", $"An outcome is one of {string.Join(", ", AuditTrail.Outcomes)}.");

    private static DateTimeOffset? Time(IQueryCollection query, string name) =>
        query[name] is not [{ } text] ? null
        : StrictTimes.TryParse(text, out var time) ? time
        : throw Problem.At(name, "query.invalid", "A time is RFC 3339 with an offset, as in 2026-01-31T12:00:00Z.");

    private static string? TextOf(string? text) =>
        text?.Trim() is not { Length: > 0 } wanted ? null
        : wanted.Length <= LongestText ? wanted
        : throw Problem.At("q", "query.invalid", $"A text that is searched for has at most {LongestText} characters.");
}
