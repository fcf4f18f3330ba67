using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Devices;
using Nubabel.Projections;
using Nubabel.Projections.Flags;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>The engine in this process, with its daemon, as the server has it.</summary>
internal sealed class BenchNode : IAsyncDisposable
{
    /// <summary>A projection of no event that is appended here: a daemon that runs it alone sends and hears hints and leaves the devices to others.</summary>
    private static readonly ProjectionSet Bystander = new ProjectionSet(Events.Types).Documents<FlagList, FlagRow>();

    private readonly TestDatabase database;
    private readonly ProjectionDaemon daemon;

    private BenchNode(TestDatabase database, ProjectionSet projections)
    {
        this.database = database;
        Node = new Node(database.Database, TestDatabase.Master, TestDatabase.Root, new Signal(), TimeProvider.System);
        daemon = new ProjectionDaemon(database.Database.Daemon, database.DaemonString, projections, Node.Appended, new Store.Positions(database.Database.Daemon, projections));
    }

    public Node Node { get; }

    /// <param name="withDevices">Whether the projection of devices is this process's; else another process must run it.</param>
    public static BenchNode Start(TestDatabase database, bool withDevices)
    {
        var node = new BenchNode(database, withDevices ? ReadModels.All : Bystander);
        node.daemon.Start();
        return node;
    }

    /// <summary>Registers a device; it is committed when this returns.</summary>
    public async Task<Guid> Register(CancellationToken ct)
    {
        var id = new Id<Device>(Guid.CreateVersion7());
        var journal = Node.Journal(Seed.Tenant, new Origin($"user:{Seed.Owner}", null, "bench", null, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        await journal.Create((StreamName<Device>)id, Named.Device($"d {id}", DeviceType.Web), ct);
        return id.Value;
    }

    public ValueTask DisposeAsync() => daemon.DisposeAsync();
}
