using Nubabel.Testing;

namespace Nubabel.Store.Tests;

public class IdempotencyTests : IAsyncLifetime
{
    private readonly string tenant;
    private readonly IdempotencyRecord record;
    private TestDatabase test = null!;
    private Database db = null!;

    public IdempotencyTests()
    {
        tenant = Tally.Tenant();
        record = new IdempotencyRecord(tenant, "user:1 POST /things", "k", [1, 2, 3], 201) { Created = TimeProvider.System.GetUtcNow() };
    }

    public async Task InitializeAsync() => db = (test = await TestDatabase.Shared).Database;

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task The_record_stands_with_the_events()
    {
        var stream = Tally.Stream();
        await db.Commit(tenant, record, Tally.On(stream, 0, new Counted(1), new Counted(2)));
        var found = await Find();
        Assert.Equal(2, found!.Versions[stream]);
        Assert.Equal((201, record.Key), (found.Status, found.Key));
        Assert.Equal(record.RequestHash, found.RequestHash);
    }

    [Fact]
    public async Task A_refused_append_leaves_no_record()
    {
        Assert.IsType<Appended.Conflict>(await db.Commit(tenant, record, Tally.On(Tally.Stream(), 4, new Counted(1))));
        Assert.Null(await Find());
    }

    [Fact]
    public async Task Of_many_with_one_key_one_commits_and_the_others_hear_so()
    {
        var results = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => db.Commit(tenant, record, Tally.On(Tally.Stream(), 0, new Counted(1)))));
        Assert.Single(results.OfType<Appended.Done>());
        Assert.Equal(39, results.Count(r => r is Appended.Repeated));
    }

    [Fact]
    public async Task A_record_is_forgotten_after_its_time()
    {
        await db.Commit(tenant, record, Tally.On(Tally.Stream(), 0, new Counted(1)));
        await test.Run($"update nubabel.idempotency set created = now() - interval '25 hours' where tenant_id = '{tenant}'");
        Assert.Null(await Find());
        Assert.IsType<Appended.Done>(await db.Commit(tenant, record, Tally.On(Tally.Stream(), 0, new Counted(1))));
    }

    private Task<IdempotencyRecord?> Find() => IdempotencyRecord.Find(db.Api, tenant, record.Scope, record.Key, 24, CancellationToken.None);
}
