using System.Globalization;

namespace Nubabel.Store;

/// <summary>
/// A recurring time in five fields: minute, hour, day of the month, month, day of the week. A field is <c>*</c> or a list of values, ranges and steps
/// (<c>1,10-20,*/5</c>); months and days of the week may be named by three letters, and both 0 and 7 are Sunday. Where both days are restricted, either will do,
/// as in cron. The times are those of a wall clock in a time zone.
/// </summary>
/// <remarks>
/// When clocks go forward, a time that is left out comes at the moment of the change; when they go back, a time that comes twice counts the first time. Ticks
/// that recur within the day (the hour is <c>*</c> or has a step) go on evenly instead: what is left out is left out, and what comes twice comes twice.
/// </remarks>
public sealed class Cron
{
    /// <summary>The calendar repeats after 28 years but for century years: what does not come within 40 never does.</summary>
    private const int LongestSearchDays = 40 * 366;

    private static readonly string[] Months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    private static readonly string[] Days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

    private readonly string text;
    private readonly ulong minutes, hours, days, months, weekdays;
    private readonly bool anyDay, anyWeekday, withinDay;

    private Cron(string text)
    {
        this.text = text;
        var fields = text.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length != 5) throw new FormatException("A cron expression has five fields: minute, hour, day of the month, month, day of the week.");
        minutes = Field(fields[0], 0, 59, []);
        hours = Field(fields[1], 0, 23, []);
        days = Field(fields[2], 1, 31, []);
        months = Field(fields[3], 1, 12, Months);
        weekdays = Field(fields[4], 0, 7, Days);
        if ((weekdays & 1UL << 7) != 0) weekdays |= 1;
        (anyDay, anyWeekday) = (fields[2][0] == '*', fields[4][0] == '*');
        withinDay = fields[1][0] == '*' || fields[1].Contains('/', StringComparison.Ordinal);
    }

    /// <exception cref="FormatException">It is none; the message says why.</exception>
    public static Cron Parse(string text) => new(text);

    /// <summary>The first tick after a moment; null when there is none any more (the 30th of February).</summary>
    public DateTimeOffset? Next(DateTimeOffset after, TimeZoneInfo zone)
    {
        // From the day before: a change of clocks may put a tick of one day behind the first hour of the next.
        var first = DateOnly.FromDateTime(TimeZoneInfo.ConvertTime(after, zone).DateTime).AddDays(-1);
        for (var i = 0; i < LongestSearchDays; i++)
        {
            var day = first.AddDays(i);
            if (!Comes(day)) continue;
            DateTimeOffset? next = null;
            foreach (var tick in Ticks(day, zone))
                if (tick > after && (next is null || tick < next)) next = tick;
            if (next is not null) return next;
        }
        return null;
    }

    public override string ToString() => text;

    private bool Comes(DateOnly day)
    {
        if (!Has(months, day.Month)) return false;
        var (ofMonth, ofWeek) = (Has(days, day.Day), Has(weekdays, (int)day.DayOfWeek));
        return anyDay || anyWeekday ? ofMonth && ofWeek : ofMonth || ofWeek;
    }

    private IEnumerable<DateTimeOffset> Ticks(DateOnly day, TimeZoneInfo zone)
    {
        for (var hour = 0; hour < 24; hour++)
        {
            if (!Has(hours, hour)) continue;
            for (var minute = 0; minute < 60; minute++)
            {
                if (!Has(minutes, minute)) continue;
                var local = day.ToDateTime(new TimeOnly(hour, minute));
                if (zone.IsInvalidTime(local))
                {
                    if (!withinDay) yield return AfterGap(local, zone);
                }
                else if (zone.IsAmbiguousTime(local))
                {
                    var offsets = zone.GetAmbiguousTimeOffsets(local).OrderDescending().ToArray();
                    yield return new DateTimeOffset(local, offsets[0]).ToUniversalTime();
                    if (withinDay) yield return new DateTimeOffset(local, offsets[^1]).ToUniversalTime();
                }
                else
                {
                    yield return new DateTimeOffset(local, zone.GetUtcOffset(local)).ToUniversalTime();
                }
            }
        }
    }

    private static DateTimeOffset AfterGap(DateTime local, TimeZoneInfo zone)
    {
        while (zone.IsInvalidTime(local)) local = local.AddMinutes(1);
        return new DateTimeOffset(local, zone.GetUtcOffset(local)).ToUniversalTime();
    }

    private static bool Has(ulong set, int value) => (set & 1UL << value) != 0;

    private static ulong Field(string field, int least, int most, string[] names)
    {
        ulong set = 0;
        foreach (var part in field.Split(','))
        {
            var slash = part.Split('/');
            if (slash.Length > 2) throw Wrong(field);
            var step = slash.Length == 1 ? 1 : Number(slash[1], 1, most, []);
            var range = slash[0].Split('-');
            var (from, to) = (slash[0], range.Length) switch
            {
                ("*", _) => (least, most),
                (_, 1) => (Number(range[0], least, most, names), slash.Length == 1 ? Number(range[0], least, most, names) : most),
                (_, 2) => (Number(range[0], least, most, names), Number(range[1], least, most, names)),
                _ => throw Wrong(field),
            };
            if (from > to) throw Wrong(field);
            for (var value = from; value <= to; value += step) set |= 1UL << value;
        }
        return set;

        int Number(string value, int smallest, int greatest, string[] known)
        {
            var name = Array.FindIndex(known, n => n.Equals(value, StringComparison.OrdinalIgnoreCase));
            if (name >= 0) return name + smallest;
            if (int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= smallest && number <= greatest) return number;
            throw Wrong(field);
        }
    }

    private static FormatException Wrong(string field) => new($"'{field}' is no field of a cron expression.");
}
