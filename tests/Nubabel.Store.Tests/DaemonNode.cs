using System.Diagnostics;

namespace Nubabel.Store.Tests;

/// <summary>A daemon of the test vocabulary on a database, as one process of the product has it.</summary>
public sealed class DaemonNode : IAsyncDisposable
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(10);
    private readonly EngineDatabase database;

    private DaemonNode(EngineDatabase database, string name, ProjectionSet projections, TimeSpan heartbeat, IGapRule? rule, RebuildOptions rebuilds, TimeSpan poll)
    {
        this.database = database;
        Projections = projections;
        Signal = new Signal();
        Log = new TallyLog(database.Daemon, Signal);
        Positions = new Positions(database.Daemon, projections);
        Daemon = new ProjectionDaemon(database.Daemon, database.DaemonConnectionString, projections, Signal, Positions,
            new DaemonOptions { Node = name, Heartbeat = heartbeat, Poll = poll, Rule = rule ?? new SequenceLockRule(), Rebuilds = rebuilds });
    }

    public ProjectionSet Projections { get; }
    public Signal Signal { get; }
    public TallyLog Log { get; }
    public Positions Positions { get; }
    public ProjectionDaemon Daemon { get; }

    /// <param name="rebuilds">How it works on rebuilds; when it is left out it does not, so that a test can.</param>
    internal static DaemonNode On(
        EngineDatabase database, string name = "one", TimeSpan? heartbeat = null, IGapRule? rule = null, ProjectionSet? projections = null, RebuildOptions? rebuilds = null, TimeSpan? poll = null) =>
        new(database, name, projections ?? Tallies.Projections(), heartbeat ?? TimeSpan.FromMilliseconds(100), rule, rebuilds ?? new RebuildOptions { Works = false },
            poll ?? TimeSpan.FromMilliseconds(200));

    internal static async Task<DaemonNode> Started(
        EngineDatabase database, string name = "one", TimeSpan? heartbeat = null, IGapRule? rule = null, ProjectionSet? projections = null, RebuildOptions? rebuilds = null, TimeSpan? poll = null)
    {
        var node = On(database, name, heartbeat, rule, projections, rebuilds, poll);
        await ReadTables.Ensure(database.Owner, node.Projections, EngineDatabase.ApiLogin, EngineDatabase.DaemonLogin);
        node.Daemon.Start();
        return node;
    }

    /// <summary>Waits until the projections have reached the position; all of them when none is named.</summary>
    public async Task Reach(long position, params string[] names)
    {
        foreach (var name in names.Length > 0 ? names : [.. Projections.All.Select(p => p.Name)])
        {
            var (reached, have) = await Positions.Reached(name, position, Bound, default);
            Assert.True(reached, $"{name} stands at {have} and not at {position}: {string.Join("; ", (await Daemon.Status(default)).Errors)}");
        }
    }

    public async Task<ProjectionStatus> Status(string name) => (await Daemon.Status(default)).Projections.Single(p => p.Name == name);

    public async Task<ProjectionStatus> Until(string name, Func<ProjectionStatus, bool> condition)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            var status = await Status(name);
            if (condition(status)) return status;
            Assert.True(clock.Elapsed < Bound, $"still {status}");
            await Task.Delay(20);
        }
    }

    /// <summary>The whole table as text, for comparing.</summary>
    public Task<string> Table(string name) => TableOf(database, Projections.Find(name)!);

    public static async Task<string> TableOf(EngineDatabase database, Projection projection) =>
        await database.Scalar<string>($"select coalesce(string_agg(t::text, E'\\n' order by t::text), '') from read.{projection.Name}_v{projection.Version} t") ?? "";

    public ValueTask DisposeAsync() => Daemon.DisposeAsync();
}
