using Nubabel.Api.Commands;
using Nubabel.Api.Tests.Rates;

namespace Nubabel.Api.Tests.Commands;

public sealed class ProgressBarTests : IDisposable
{
    private readonly StringWriter to = new();
    private readonly StillTime time = new();

    public void Dispose() => to.Dispose();

    [Theory]
    [InlineData(0, 1000, 0, "devices: [........................]   0 %, 0 events, 0/s, time left unknown")]
    [InlineData(250, 1000, 50, "devices: [######..................]  25 %, 250 events, 50/s, 15 s left")]
    [InlineData(999, 1000, 50, "devices: [#######################.]  99 %, 999 events, 50/s, 0.0 s left")]
    [InlineData(1000, 1000, 50, "devices: [########################] 100 %, 1,000 events, 50/s")]
    [InlineData(1200, 1000, 50, "devices: [########################] 100 %, 1,200 events, 50/s")]
    [InlineData(0, 0, 0, "devices: [########################] 100 %, 0 events, 0/s")]
    public void A_line_says_the_share_the_rate_and_the_time_left(long done, long total, double perSecond, string line) =>
        Assert.Equal(line, ProgressBar.Line("devices", "events", new ProgressBar.Progress(done, total, perSecond, TimeSpan.FromSeconds(5), null)));

    [Fact]
    public void Where_nobody_knows_the_end_the_line_says_how_long_it_has_taken() =>
        Assert.Equal("import: 2.50 M lines, 120 k/s, 20 s so far, waiting",
            ProgressBar.Line("import", "lines", new ProgressBar.Progress(2_500_000, null, 120_000, TimeSpan.FromSeconds(20), "waiting")));

    [Theory]
    [InlineData(0.05, "0.1 s")]
    [InlineData(59.9, "59 s")]
    [InlineData(61, "1 min 01 s")]
    [InlineData(3_600 + 120, "1 h 02 min")]
    [InlineData(3 * 86_400, "3 days")]
    public void A_time_is_said_as_a_person_says_it(double seconds, string text) => Assert.Equal(text, ProgressBar.Span(TimeSpan.FromSeconds(seconds)));

    [Fact]
    public void On_a_terminal_one_line_is_written_over_and_taken_away_at_the_end()
    {
        using (var bar = Bar(redraws: true))
        {
            bar.Show(100_000, 200_000, "a rather long phase");
            Pass(0.5);
            bar.Show(200_000, 200_000);
        }

        var drawn = to.ToString().Split('\r');
        Assert.DoesNotContain('\n', to.ToString());
        Assert.Equal(5, drawn.Length);
        Assert.StartsWith("devices: [############............]  50 %, 100 k events", drawn[1], StringComparison.Ordinal);
        // The rest of the longer line is gone, and so is everything behind the end.
        Assert.Equal(drawn[1].Length, drawn[2].Length);
        Assert.Equal("devices: [########################] 100 %, 200 k events, 200 k/s", drawn[2].TrimEnd());
        Assert.Equal("", drawn[3].Trim());
        Assert.Equal("", drawn[4]);
    }

    [Fact]
    public void A_line_never_gets_wider_than_the_terminal()
    {
        using var bar = Bar(redraws: true, width: 40);
        bar.Show(1, 2, new string('x', 100));
        Assert.Equal(39, to.ToString().TrimStart('\r').Length);
    }

    [Fact]
    public void Told_often_it_draws_ten_times_a_second_at_most()
    {
        using var bar = Bar(redraws: true);
        for (var i = 0; i < 1_000; i++)
        {
            bar.Show(i, 1_000);
            Pass(0.001);
        }
        Assert.InRange(to.ToString().Split('\r').Length - 1, 9, 10);
    }

    [Fact]
    public void Redirected_it_writes_a_plain_line_every_five_seconds_and_where_it_has_ended()
    {
        using (var bar = Bar(redraws: false))
        {
            for (var i = 0; i <= 110; i++)
            {
                bar.Show(i, 1_000);
                Pass(0.1);
            }
        }
        var lines = to.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(4, lines.Length);
        Assert.Equal("devices: [##......................]  10 %, 100 events, 10/s, 1 min 30 s left", lines[2].TrimEnd());
        Assert.Equal("devices: [##......................]  11 %, 110 events, 10/s, 1 min 29 s left", lines[3].TrimEnd());
        Assert.DoesNotContain('\r', to.ToString().Replace(Environment.NewLine, "\n", StringComparison.Ordinal));
    }

    [Fact]
    public void The_rate_is_that_of_the_last_seconds()
    {
        using var bar = Bar(redraws: false);
        for (var i = 0; i < 600; i++, Pass(0.1)) bar.Show(i * 100, 1_000_000);
        to.GetStringBuilder().Clear();
        for (var i = 0; i < 200; i++, Pass(0.1)) bar.Show(60_000 + i, 1_000_000);
        Assert.Contains(", 10/s, ", to.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1], StringComparison.Ordinal);
    }

    private ProgressBar Bar(bool redraws, int width = 100) => new("devices", "events", to, redraws, () => width, time);

    private void Pass(double seconds) => time.Move(TimeSpan.FromSeconds(seconds));
}
