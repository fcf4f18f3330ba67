using Nubabel.Domain;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Projections.Tests;

/// <summary>Two nodes on one stream: what this one sends is counted on its way, the other one writes behind its back.</summary>
public abstract class TwoNodesOfOneDoor : IAsyncLifetime, IAsyncDisposable
{
    private protected readonly string tenant = Guid.CreateVersion7().ToString();
    private protected readonly Id<Door> door = new(Guid.CreateVersion7());
    private protected TestDatabase test = null!;
    private protected PostgresProxy proxy = null!;
    private protected Database near = null!, far = null!;

    public async Task InitializeAsync()
    {
        test = await TestDatabase.Shared;
        proxy = new PostgresProxy(test.ApiString);
        near = Database.Open("main", proxy.ConnectionString, test.DaemonString);
        far = Database.Open("main", test.ApiString, test.DaemonString);
    }

    public Task DisposeAsync() => Task.CompletedTask;

    async ValueTask IAsyncDisposable.DisposeAsync()
    {
        await near.DisposeAsync();
        await far.DisposeAsync();
        await proxy.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    private protected Journal Here() => Node(near, tenant);
    private protected Journal There() => Node(far, tenant);

    private protected static Journal Node(Database database, string tenant) =>
        new(database, Door.Types, new SubjectKeys(database, TestDatabase.Master), tenant, new Origin("system:test"), () => { }, TimeProvider.System);
}
