namespace Nubabel.Store.Tests.Transfer;

/// <summary>What is sealed needs keys, which are not in the log.</summary>
public sealed class ImportKeyTests : IAsyncLifetime
{
    private EngineDatabase source = null!, target = null!;
    private TallyLog log = null!;

    public async Task InitializeAsync()
    {
        (source, target) = (await EngineDatabase.Create(), await EngineDatabase.Create());
        log = new TallyLog(source.Daemon);
    }

    public async Task DisposeAsync()
    {
        await source.DisposeAsync();
        await target.DisposeAsync();
    }

    [Fact]
    public async Task Sealed_values_whose_keys_are_missing_are_refused_unless_they_count_as_erased()
    {
        var stream = TallyLog.NewStream();
        await log.AppendRaw(stream, "foreign", """{"list":[{"name":{"$p":1,"s":"user-1","c":"AAAA"}}]}""", """{"ip":{"$p":1,"s":"user-2","c":"AAAA"}}""");
        await source.Execute($"insert into nubabel.subject_keys (tenant_id, subject, wrapped) values ('{TallyLog.Tenant}', 'user-1', 'one'), ('{TallyLog.Tenant}', 'user-2', 'two')");
        var refused = await Assert.ThrowsAsync<ImportRefused>(async () => await target.Import(await source.Export()));
        Assert.Contains("The keys of 2 subjects", refused.Message, StringComparison.Ordinal);
        Assert.Equal(0L, await target.Scalar<long>("select count(*) from events.mt_events"));

        Assert.Equal((1L, 2L), await target.Import(await source.Export(withKeys: true)) is var with ? (with.Written, with.Keys) : default);
        Assert.Equal("one,two", await target.Scalar<string>("select string_agg(encode(wrapped, 'escape'), ',' order by subject) from nubabel.subject_keys"));
        // Who has been erased here since is not brought back.
        await target.Execute("update nubabel.subject_keys set wrapped = null, destroyed = now() where subject = 'user-1'");
        await target.Import(await source.Export(withKeys: true));
        Assert.True(await target.Scalar<bool>("select wrapped is null from nubabel.subject_keys where subject = 'user-1'"));
        // Another key under the same name would make one of the two unreadable.
        await target.Execute("update nubabel.subject_keys set wrapped = 'three' where subject = 'user-2'");
        await Assert.ThrowsAsync<ImportRefused>(async () => await target.Import(await source.Export(withKeys: true)));

        await using var third = await EngineDatabase.Create();
        Assert.Equal(2, (await third.Import(await source.Export(), new ImportWish(EraseMissingKeys: true))).ErasedSubjects);
        Assert.Equal(2L, await third.Scalar<long>("select count(*) from nubabel.subject_keys where wrapped is null and destroyed is not null"));
    }

    [Fact]
    public async Task Another_master_key_is_refused()
    {
        await log.Append(TallyLog.NewStream(), new TallyOpened("a"));
        using var to = new MemoryStream();
        await using (var export = EventExport.To(source.Daemon, to)) await export.Run(new LogSelection(), "main", "aaaa", false, _ => { }, default);
        var file = System.Text.Encoding.UTF8.GetString(to.ToArray());
        await Assert.ThrowsAsync<ImportRefused>(() => target.Import(file, new ImportWish(Master: "bbbb")));
        Assert.Equal(1, (await target.Import(file, new ImportWish(Master: "aaaa"))).Written);
    }
}
