using System.Globalization;

namespace Nubabel.Store.Tests.Messages;

/// <summary>When recurring messages come.</summary>
public sealed class CronTests
{
    [Theory]
    [InlineData("* * * * *", "UTC", "2026-11-21T08:00:30Z", "2026-11-21T08:01:00Z")]
    [InlineData("* * * * *", "UTC", "2026-11-21T08:01:00Z", "2026-11-21T08:02:00Z")]
    [InlineData("*/15 9-17 * * mon-fri", "UTC", "2026-11-20T17:45:00Z", "2026-11-23T09:00:00Z")]
    [InlineData("30 4 1,15 * *", "UTC", "2026-11-15T04:30:00Z", "2026-12-01T04:30:00Z")]
    [InlineData("0 0 13 * fri", "UTC", "2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z")] // either day will do
    [InlineData("0 0 29 2 *", "UTC", "2026-11-21T00:00:00Z", "2028-02-29T00:00:00Z")]
    [InlineData("0 12 * * 7", "UTC", "2026-11-21T00:00:00Z", "2026-11-22T12:00:00Z")]
    [InlineData("0 12 * * 0", "UTC", "2026-11-21T00:00:00Z", "2026-11-22T12:00:00Z")]
    [InlineData("5/20 * * * *", "UTC", "2026-11-21T08:06:00Z", "2026-11-21T08:25:00Z")]
    [InlineData("0 9 * JAN,Jul *", "Europe/Berlin", "2026-11-21T00:00:00Z", "2027-01-01T08:00:00Z")]
    [InlineData("0 9 * 7 *", "Europe/Berlin", "2026-11-21T00:00:00Z", "2027-07-01T07:00:00Z")]
    [InlineData("0 0 * * *", "Pacific/Kiritimati", "2026-11-21T09:59:59Z", "2026-11-21T10:00:00Z")]
    // Clocks go forward at 01:00 UTC on 28 March 2027: 02:30 is left out and comes at the change.
    [InlineData("30 2 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z", "2027-03-28T01:00:00Z")]
    [InlineData("30 2 * * *", "Europe/Berlin", "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z")]
    [InlineData("30 * * * *", "Europe/Berlin", "2027-03-28T00:30:00Z", "2027-03-28T01:30:00Z")]
    // Clocks go back at 01:00 UTC on 31 October 2027: 02:30 comes twice and counts once, but for what recurs within the day.
    [InlineData("30 2 * * *", "Europe/Berlin", "2027-10-30T12:00:00Z", "2027-10-31T00:30:00Z")]
    [InlineData("30 2 * * *", "Europe/Berlin", "2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z")]
    [InlineData("30 * * * *", "Europe/Berlin", "2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z")]
    [InlineData("*/30 1-3/1 * * *", "Europe/Berlin", "2027-10-31T00:45:00Z", "2027-10-31T01:00:00Z")]
    public void The_next_tick_is_found(string cron, string zone, string after, string next) =>
        Assert.Equal(Time(next), Cron.Parse(cron).Next(Time(after), TimeZoneInfo.FindSystemTimeZoneById(zone)));

    [Fact]
    public void What_never_comes_has_no_next_tick() => Assert.Null(Cron.Parse("0 0 30 2 *").Next(Time("2026-01-01T00:00:00Z"), TimeZoneInfo.Utc));

    [Theory]
    [InlineData("")]
    [InlineData("* * * *")]
    [InlineData("* * * * * *")]
    [InlineData("60 * * * *")]
    [InlineData("* 24 * * *")]
    [InlineData("* * 0 * *")]
    [InlineData("* * * 13 *")]
    [InlineData("* * * * 8")]
    [InlineData("10-5 * * * *")]
    [InlineData("*/0 * * * *")]
    [InlineData("1/2/3 * * * *")]
    [InlineData("1-2-3 * * * *")]
    [InlineData("-1 * * * *")]
    [InlineData("a * * * *")]
    [InlineData(", * * * *")]
    public void What_is_no_expression_is_refused(string cron) => Assert.Throws<FormatException>(() => Cron.Parse(cron));

    /// <summary>Against the definition itself: a year of minutes, looked at one by one.</summary>
    [Theory]
    [InlineData("*/7 3,14 * * *")]
    [InlineData("0 0 31 * *")]
    [InlineData("15 10 * 2-4 tue,thu")]
    public void Every_tick_of_a_year_is_found_and_no_other(string text)
    {
        var cron = Cron.Parse(text);
        var ticks = new List<DateTimeOffset>();
        var (from, to) = (Time("2027-01-01T00:00:00Z"), Time("2028-01-01T00:00:00Z"));
        for (var next = cron.Next(from.AddMinutes(-1), TimeZoneInfo.Utc); next < to; next = cron.Next(next.Value, TimeZoneInfo.Utc)) ticks.Add(next.Value);
        bool Defined(DateTimeOffset t) => text switch
        {
            "*/7 3,14 * * *" => t.Minute % 7 == 0 && t.Hour is 3 or 14 && t.Minute % 7 == 0,
            "0 0 31 * *" => t is { Minute: 0, Hour: 0, Day: 31 },
            _ => t is { Minute: 15, Hour: 10, Month: >= 2 and <= 4, DayOfWeek: DayOfWeek.Tuesday or DayOfWeek.Thursday },
        };
        Assert.Equal(Enumerable.Range(0, 365 * 24 * 60).Select(m => from.AddMinutes(m)).Where(Defined), ticks);
    }

    private static DateTimeOffset Time(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture);
}
