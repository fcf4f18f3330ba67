using System.Text;

namespace Nubabel.Store.Tests.Transfer;

/// <summary>One id names one event: in the file, and in the log that it goes to.</summary>
public sealed class ImportedIdTests : IAsyncLifetime
{
    private readonly Guid twin = Guid.CreateVersion7();
    private EngineDatabase target = null!;

    public async Task InitializeAsync() => target = await EngineDatabase.Create();

    public async Task DisposeAsync() => await target.DisposeAsync();

    [Fact]
    public async Task An_id_that_stands_in_the_file_twice_is_refused_by_both_lines()
    {
        var refused = await Assert.ThrowsAsync<BadEventFile>(() => target.Import(Transfers.File(
            Transfers.Line(1, "tally-a", 1), Transfers.Line(2, "tally-b", 1, id: twin), Transfers.Line(3, "tally-a", 2), Transfers.Line(4, "tally-c", 1, id: twin))));
        Assert.Equal($"Line 5: The event id {twin} stands on line 3 already: one id names one event.", refused.Message);
    }

    [Fact]
    public async Task An_id_that_names_another_event_here_is_refused_before_anything_is_written()
    {
        await target.Import(Transfers.File(Transfers.Line(1, "tally-here", 1, "foreign", "{}"), Transfers.Line(2, "tally-here", 2, "foreign", "{}", id: twin)));
        // More than a first chunk stands before it.
        var lines = Enumerable.Range(1, 90).SelectMany(i => Enumerable.Range(1, 3).Select(v => (Stream: $"tally-{i}", Version: v))).ToArray();
        var file = File([.. lines.Select((l, i) => Transfers.Line(i + 1, l.Stream, l.Version, "foreign", "{}")), Transfers.Line(271, "tally-there", 1, "foreign", "{}", id: twin)]);
        var refused = await Assert.ThrowsAsync<ImportRefused>(() => target.Import(file));
        Assert.StartsWith($"Line 272: the event {twin} is version 1 of the stream tally-there of {TallyLog.Tenant}, and here this id names version 2 of the stream tally-here", refused.Message, StringComparison.Ordinal);
        Assert.Equal(2L, await target.Scalar<long>("select count(*) from events.mt_events"));
    }

    [Fact]
    public async Task The_same_event_of_another_tenant_is_another()
    {
        await target.Import(Transfers.File(Transfers.Line(1, "tally-a", 1, id: twin)));
        var file = Transfers.File(Transfers.Line(1, "tally-a", 1, id: twin).Replace(TallyLog.Tenant, Tally.Tenant(), StringComparison.Ordinal));
        Assert.Contains("One id names one event", (await Assert.ThrowsAsync<ImportRefused>(() => target.Import(file))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_many_stand_here_rightly_the_file_is_looked_through_for_some_at_a_time()
    {
        var lines = Enumerable.Range(1, 100).Select(i => Transfers.Line(i, $"tally-{i}", 1, "foreign", "{}")).ToArray();
        var whole = Transfers.File(lines);
        await target.Import(whole);
        Assert.Equal(100, (await target.Import(whole)).PassedOver);
        var bad = Transfers.File([.. lines[..99], Transfers.Line(100, "tally-new", 1, "foreign", "{}", id: Guid.Parse(lines[99].Split('"')[5]))]);
        await Look(whole, most: 7);
        Assert.StartsWith("Line 101: ", (await Assert.ThrowsAsync<ImportRefused>(() => Look(bad, most: 7))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_filter_knows_what_it_was_given_and_takes_few_others_for_known()
    {
        const int Ids = 20_000;
        var filter = new IdFilter(Ids);
        // Random ones, and another writer's numbers in a row.
        var given = Enumerable.Range(0, Ids).Select(i => i % 2 == 0 ? Guid.NewGuid() : new Guid(i, 0, 0, new byte[8])).ToArray();
        Assert.InRange(given.Count(filter.Add), 0, Ids / 200);
        Assert.All(given, id => Assert.True(filter.MayHave(id)));
        Assert.InRange(Enumerable.Range(0, Ids).Count(i => filter.MayHave(i % 2 == 0 ? Guid.NewGuid() : new Guid(Ids + i, 0, 0, new byte[8]))), 0, Ids / 200);
    }

    private async Task Look(string file, int most)
    {
        using var from = new MemoryStream(Encoding.UTF8.GetBytes(file));
        await new ImportedIds(target.Daemon, await Transfers.Check(file), from, null, most).Check(_ => { }, default);
    }

    /// <summary>As <see cref="Transfers.File"/>, for more positions than its header allows.</summary>
    private static string File(IReadOnlyList<string> lines)
    {
        var text = Transfers.File(lines).Replace("\"to\":100,", $"\"to\":{lines.Count},", StringComparison.Ordinal);
        var body = text[..(text.TrimEnd('\n').LastIndexOf('\n') + 1)];
        return body + $$$"""{"end":{"events":{{{lines.Count}}},"keys":0,"sha256":"{{{Transfers.Sha(body)}}}"}}""" + "\n";
    }
}
