using System.Globalization;

namespace Nubabel.Api.Commands;

/// <summary>
/// Shows how far a long verb is: how much is done, how fast, and how long it will still take. On a terminal it is one line that is written over; redirected, a
/// plain line every few seconds and one in the end, so that a log stays readable and does not stop at an old figure. It goes to standard error: standard output belongs to what the verb answers.
/// </summary>
/// <remarks>May be told from several threads. What it is told is cheap: it draws a few times a second at most.</remarks>
internal sealed class ProgressBar : IDisposable
{
    private const int BarWidth = 24;
    private const int DefaultWidth = 100;
    private static readonly TimeSpan Redraw = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan PlainLine = TimeSpan.FromSeconds(5);

    /// <summary>The rate is that of the last seconds: the average of an hour says nothing about now.</summary>
    private static readonly TimeSpan RateOver = TimeSpan.FromSeconds(10);

    private readonly string what;
    private readonly string unit;
    private readonly TextWriter to;
    private readonly bool redraws;
    private readonly Func<int> width;
    private readonly TimeProvider time;
    private readonly long began;
    private readonly Lock drawing = new();
    private readonly List<(long At, long Done)> samples = [];
    private long? drawn;
    private string last = "";
    private Progress? untold;

    /// <param name="what">What is going on, as the line begins.</param>
    /// <param name="unit">What is counted.</param>
    public ProgressBar(string what, string unit = "events")
        : this(what, unit, Console.Error, !Console.IsErrorRedirected, TerminalWidth, TimeProvider.System)
    {
    }

    internal ProgressBar(string what, string unit, TextWriter to, bool redraws, Func<int> width, TimeProvider time)
    {
        (this.what, this.unit, this.to, this.redraws, this.width, this.time) = (what, unit, to, redraws, width, time);
        began = time.GetTimestamp();
    }

    /// <summary>How far it is now.</summary>
    /// <param name="done">How many of the unit are done, those of an earlier run included.</param>
    /// <param name="total">How many there are; null where nobody knows.</param>
    /// <param name="phase">What is being done, where that is not plain; it stands at the end of the line.</param>
    public void Show(long done, long? total, string? phase = null)
    {
        lock (drawing)
        {
            var now = time.GetTimestamp();
            Sample(now, done);
            untold = new Progress(done, total, Rate(), time.GetElapsedTime(began, now), phase);
            if (drawn is { } before && time.GetElapsedTime(before, now) < (redraws ? Redraw : PlainLine)) return;
            drawn = now;
            if (redraws) Overwrite(Cut(Line(what, unit, untold), width() - 1));
            else to.WriteLine(Line(what, unit, untold));
            untold = null;
        }
    }

    /// <summary>Takes the line away; redirected, writes how far it came. Nothing is drawn behind it.</summary>
    public void Dispose()
    {
        lock (drawing)
        {
            if (redraws && last.Length > 0) to.Write($"\r{new string(' ', last.Length)}\r");
            else if (!redraws && untold is { } end) to.WriteLine(Line(what, unit, end));
            (last, untold) = ("", null);
            to.Flush();
        }
    }

    /// <summary>What is known at a moment.</summary>
    internal sealed record Progress(long Done, long? Total, double PerSecond, TimeSpan Elapsed, string? Phase);

    /// <summary>The line of a moment, for both kinds of output.</summary>
    internal static string Line(string what, string unit, Progress p)
    {
        var rate = $"{Count(p.Done)} {unit}, {Count((long)p.PerSecond)}/s";
        var phase = p.Phase is null ? "" : $", {p.Phase}";
        if (p.Total is not { } total) return $"{what}: {rate}, {Span(p.Elapsed)} so far{phase}";
        // Whoever does more than was announced is at the end, not beyond it.
        var share = total <= 0 ? 1 : Math.Clamp((double)p.Done / total, 0, 1);
        var filled = (int)(share * BarWidth);
        // Rounded down: 100 % is said of what is done and of nothing else.
        var percent = (int)(share * 100);
        var left = p.Done >= total ? "" : p.PerSecond > 0 ? $", {Span(TimeSpan.FromSeconds(Math.Min((total - p.Done) / p.PerSecond, 1e9)))} left" : ", time left unknown";
        return $"{what}: [{new string('#', filled)}{new string('.', BarWidth - filled)}] {percent,3} %, {rate}{left}{phase}";
    }

    /// <summary>Five digits with a unit are read at a glance, eleven are not: 1,234 → "1,234", 1,234,567 → "1.23 M".</summary>
    internal static string Count(long n) => n switch
    {
        >= 1_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{n / 1e9:0.00} G"),
        >= 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{n / 1e6:0.00} M"),
        >= 100_000 => string.Create(CultureInfo.InvariantCulture, $"{n / 1e3:0} k"),
        _ => n.ToString("#,0", CultureInfo.InvariantCulture),
    };

    internal static string Span(TimeSpan span) => span switch
    {
        { TotalSeconds: < 10 } => string.Create(CultureInfo.InvariantCulture, $"{span.TotalSeconds:0.0} s"),
        { TotalSeconds: < 60 } => string.Create(CultureInfo.InvariantCulture, $"{(int)span.TotalSeconds} s"),
        { TotalMinutes: < 60 } => string.Create(CultureInfo.InvariantCulture, $"{(int)span.TotalMinutes} min {span.Seconds:00} s"),
        { TotalDays: < 2 } => string.Create(CultureInfo.InvariantCulture, $"{(int)span.TotalHours} h {span.Minutes:00} min"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{(long)span.TotalDays} days"),
    };

    private void Sample(long now, long done)
    {
        // Told thousands of times a second it keeps one for every tenth of a second.
        if (samples.Count > 1 && time.GetElapsedTime(samples[^2].At, now) < Redraw) samples[^1] = (now, done);
        else samples.Add((now, done));
        // One from before the window stays, so that the window is covered.
        while (samples.Count > 2 && time.GetElapsedTime(samples[1].At, now) >= RateOver) samples.RemoveAt(0);
    }

    private double Rate()
    {
        var (first, newest) = (samples[0], samples[^1]);
        var seconds = time.GetElapsedTime(first.At, newest.At).TotalSeconds;
        return seconds <= 0 ? 0 : Math.Max(0, (newest.Done - first.Done) / seconds);
    }

    /// <summary>A shorter line must not leave the end of the longer one behind.</summary>
    private void Overwrite(string line)
    {
        to.Write($"\r{line.PadRight(last.Length)}");
        to.Flush();
        last = line;
    }

    private static string Cut(string line, int most) => line.Length <= most || most < 1 ? line : line[..most];

    private static int TerminalWidth()
    {
        try
        {
            // Some terminals say 0.
            return Console.WindowWidth is > 1 and var columns ? columns : DefaultWidth;
        }
        catch (IOException)
        {
            return DefaultWidth;
        }
    }
}
