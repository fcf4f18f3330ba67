namespace Nubabel.Store.Tests.Transfer;

public sealed class EventFileTests
{
    private static readonly string[] Lines =
    [
        Transfers.Line(1, "tally-a", 1, "tally_opened", """{"name":"a"}"""), Transfers.Line(2, "tally-b", 1), Transfers.Line(5, "tally-a", 2, more: "\"headers\":{\"reason\":\"why\"},"), Transfers.Line(6, "tally-a", 3),
    ];

    [Fact]
    public async Task A_whole_file_is_told_what_it_holds()
    {
        var report = await Transfers.Check(Transfers.File([.. Lines, Transfers.Line(9, "tally-c", 1, "unheard_of")]));
        Assert.Equal((5L, 3L, 1L, 9L, 1L), (report.End.Events, report.Streams, report.First, report.Last, report.UnknownAliases));
    }

    [Fact]
    public async Task A_file_cut_off_anywhere_is_refused()
    {
        var file = Transfers.File(Lines);
        for (var length = 0; length < file.Length; length += 7) await Assert.ThrowsAsync<BadEventFile>(() => Transfers.Check(file[..length]));
        await Assert.ThrowsAsync<BadEventFile>(() => Transfers.Check(file[..^1]));
    }

    [Fact]
    public async Task A_file_with_one_other_byte_is_refused_wherever_it_is()
    {
        var file = System.Text.Encoding.UTF8.GetBytes(Transfers.File(Lines));
        for (var i = 0; i < file.Length; i++)
        {
            // A digit for a digit, a letter for a letter: most of it is still well formed.
            var changed = file.ToArray();
            changed[i] = changed[i] switch { (byte)'0' => (byte)'1', (byte)'a' => (byte)'b', _ => (byte)(changed[i] ^ 1) };
            await Assert.ThrowsAsync<BadEventFile>(() => Transfers.Check(changed));
        }
    }

    [Fact]
    public async Task A_line_more_or_fewer_or_at_another_place_is_refused()
    {
        var file = Transfers.File(Lines).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l + "\n").ToList();
        for (var i = 0; i < file.Count; i++)
        {
            var at = i;
            await Assert.ThrowsAsync<BadEventFile>(() => Transfers.Check(string.Concat(file.Where((_, n) => n != at))));
            await Assert.ThrowsAsync<BadEventFile>(() => Transfers.Check(string.Concat(file.SelectMany((l, n) => n == at ? new[] { l, l } : [l]))));
            if (i > 0) await Assert.ThrowsAsync<BadEventFile>(() => Transfers.Check(string.Concat([.. file[..(i - 1)], file[i], file[i - 1], .. file[(i + 1)..]])));
        }
    }

    [Theory]
    [InlineData("no JSON")]
    [InlineData("[1]")]
    [InlineData("{}")]
    [InlineData("""{"what":1}""")]
    [InlineData("""{"seq_id":7}""")]
    public async Task What_is_no_event_is_refused_by_its_line(string line) => await Refused(line, "Line 6:");

    [Theory]
    [InlineData("\"seq_id\":7", "\"seq_id\":\"7\"", "seq_id")]
    [InlineData("\"seq_id\":7", "\"seq_id\":7.5", "seq_id")]
    [InlineData("\"seq_id\":7", "\"seq_id\":7,\"seq_id\":8", "seq_id")]
    [InlineData("\"seq_id\":7", "\"seq_id\":6", "Position 6")]
    [InlineData("\"seq_id\":7", "\"seq_id\":101", "not between 1 and 100")]
    [InlineData("\"seq_id\":7", "\"seq_id\":99999999999999999999", "seq_id")]
    [InlineData("\"stream_id\"", "\"tenant_id\":\"a,b\",\"stream_id\"", "tenant_id")]
    [InlineData("\"stream_id\":\"tally-z\"", "\"stream_id\":\"\"", "stream_id")]
    [InlineData("\"version\":1", "\"version\":0", "begin at 1")]
    [InlineData("\"version\":1", "\"versions\":1", "versions")]
    [InlineData("\"type\":\"tally_raised\"", "\"type\":\"\"", "type")]
    [InlineData("\"type\":\"tally_raised\"", "\"type\":\"a\\u0000\"", "type")]
    [InlineData("\"type\":\"tally_raised\"", "\"type\":\"\\ud800\"", "type")]
    [InlineData("123456Z", "123456", "timestamp")]
    [InlineData("2026-01-31", "2026-02-31", "timestamp")]
    [InlineData("{\"by\":1}", "{\"by\":1,\"by\":2}", "Line 6")]
    [InlineData("{\"by\":1}", "{\"by\":\"a\\u0000b\"}", "U+0000")]
    [InlineData("{\"by\":1}", "{\"\\u0000\":1}", "U+0000")]
    [InlineData("{\"by\":1}", "[[{\"x\":\"\\udc00\"}]]", "surrogate")]
    [InlineData("tally-z\"", "tally-a\"", "contiguous")]
    public async Task A_value_that_cannot_be_kept_is_refused_by_line_and_name(string right, string wrong, string named) =>
        await Refused(Transfers.Line(7, "tally-z", 1).Replace(right, wrong, StringComparison.Ordinal), named);

    [Fact]
    public async Task An_event_of_another_tenant_than_the_first_line_says_is_refused()
    {
        var file = Transfers.File(Lines).Replace("\"version\":1,\"from\"", "\"version\":1,\"tenant\":\"0198aaaa-0000-7000-8000-000000000009\",\"from\"", StringComparison.Ordinal);
        Assert.StartsWith("Line 2: The event is of", (await Assert.ThrowsAsync<BadEventFile>(() => Transfers.Check(file))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_only_looks_like_U0000_is_taken() =>
        await Transfers.Check(Transfers.File([.. Lines, Transfers.Line(7, "tally-z", 1, data: """{"by":"a\\u0000b \u00e9 \ud83d\ude00"}""")]));

    [Fact]
    public async Task Another_version_of_the_format_is_refused()
    {
        var refused = await Assert.ThrowsAsync<BadEventFile>(() => Transfers.Check(Transfers.File(Lines).Replace("\"version\":1,\"from\"", "\"version\":2,\"from\"", StringComparison.Ordinal)));
        Assert.Contains("version 1", refused.Message, StringComparison.Ordinal);
    }

    private static async Task Refused(string line, string named)
    {
        var refused = await Assert.ThrowsAsync<BadEventFile>(() => Transfers.Check(Transfers.File([.. Lines, line])));
        Assert.Contains(named, refused.Message, StringComparison.Ordinal);
        Assert.StartsWith("Line 6:", refused.Message, StringComparison.Ordinal);
    }
}
