using System.Globalization;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Flags;
using Nubabel.Domain.Organizations;
using Nubabel.Projections;
using Nubabel.Projections.Flags;
using Nubabel.Store;

namespace Nubabel.Api.Flags;

/// <summary>How often a flag is asked for: what tells a flag that is in use from one that can go.</summary>
internal static class FlagEvaluationsApi
{
    internal const string Example = """
        {"key":"dark-mode","from":"2026-10-23","to":"2026-11-21","enabled":4,"disabled":27,"lastEvaluatedAt":"2026-11-21T08:20:11.004210Z","days":[{"day":"2026-11-21","enabled":4,"disabled":27}],
        "organizations":[{"organizationId":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","enabled":4,"disabled":27,"lastEvaluatedAt":"2026-11-21T08:20:11.004210Z"}],"isComplete":true}
        """;

    private const int DaysShown = 30;
    private const string DayFormat = "yyyy-MM-dd";

    internal static async Task<IResult> Of(
        string key, Node node, Journal journal, CancellationToken ct, Id<Organization>? organization = null, string? from = null, string? to = null)
    {
        if ((await journal.Load(FlagAdminApi.StreamOf(key), ct)).State.Key is not { } known) throw FlagAdminApi.Missing();
        var last = Day(nameof(to), to) ?? DateOnly.FromDateTime(node.Time.GetUtcNow().UtcDateTime);
        var first = Day(nameof(from), from) ?? last.AddDays(1 - DaysShown);
        return Results.Json(await FlagCounts.Of(node.Everyones, known, organization, first, last, ct), Json.Options);
    }

    private static DateOnly? Day(string name, string? text) =>
        text is null ? null
        : DateOnly.TryParseExact(text, DayFormat, CultureInfo.InvariantCulture, DateTimeStyles.None, out var day) && day.Year is > 1 and < 9999 ? day
        : throw Problem.At(name, "query.invalid", "A day is written as 2026-01-31.");
}
