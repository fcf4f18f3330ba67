using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// One shard: a PostgreSQL database, reached by the logins that serving needs. The api login is bound by row-level security; the daemon
/// login bypasses it and is never handed to what a tenant's request can reach.
/// </summary>
public sealed class Database : IAsyncDisposable
{
    /// <summary>What long histories may weigh together while they are read, in bytes.</summary>
    private const long MostReading = 128L << 20;

    /// <summary>The statements of a commit leave in one piece: see <see cref="AppendStraight.MostBytes"/>.</summary>
    private const int WriteBuffer = 128 << 10;

    private int age;

    private Database(string shard, NpgsqlDataSource api, NpgsqlDataSource daemon, long remembered) =>
        (Shard, Api, Daemon, Commits, Remembered) = (shard, api, daemon, new Coalescer(api, new CoalescerBounds()), new RememberedStreams(remembered));

    /// <summary>The shard's name, which positions carry.</summary>
    public string Shard { get; }

    public NpgsqlDataSource Api { get; }
    public NpgsqlDataSource Daemon { get; }

    /// <summary>What this node remembers of the shard's streams.</summary>
    public RememberedStreams Remembered { get; }

    /// <summary>How often all that this node remembers was forgotten.</summary>
    internal int Age => Volatile.Read(ref age);

    /// <summary>What is being read of histories right now.</summary>
    internal HistoryReads Reads { get; } = new(MostReading);

    /// <summary>Who reads which stream for all who want it.</summary>
    internal FirstReaders FirstReaders { get; } = new();

    /// <summary>Commands that have met on a stream.</summary>
    internal CommandTurns Turns { get; } = new();

    /// <summary>Where this node's commits to the shard meet.</summary>
    internal Coalescer Commits { get; }

    /// <param name="remembered">How many bytes the streams may take that this node remembers.</param>
    public static Database Open(string shard, string api, string daemon, long remembered = RememberedStreams.MostBytes) =>
        new(shard, Source(api, "nubabel-api"), Source(daemon, "nubabel-daemon"), remembered);

    /// <summary>The log is another one now: nothing that was seen of its streams counts, nor what is being read at this moment.</summary>
    public void ForgetStreams()
    {
        // First the age: whoever remembers what it saw before sees it, or has what it remembers taken away here.
        Interlocked.Increment(ref age);
        Remembered.Clear();
        Turns.ForgetAll();
    }

    /// <summary>
    /// A pool of its own for one loop of the daemon. A pool hands its connections out in turn; shared with others, each round would meet another backend, whose caches
    /// know nothing of the round before. One loop needs one connection, and keeps it.
    /// </summary>
    internal static NpgsqlDataSource OneLoop(string daemon) => Source(daemon, "nubabel-daemon");

    public async ValueTask DisposeAsync()
    {
        await Commits.DisposeAsync();
        await Api.DisposeAsync();
        await Daemon.DisposeAsync();
    }

    private static NpgsqlDataSource Source(string connectionString, string application)
    {
        var settings = new NpgsqlConnectionStringBuilder(connectionString)
        {
            // No session-level state is ever set (tenants are set per transaction), so the reset between uses is a round trip for nothing.
            NoResetOnClose = true,
            IncludeErrorDetail = false,
        };
        // What the string says stands. (ContainsKey is true of every key that the driver knows, set or not.)
        if (!settings.ShouldSerialize("Max Auto Prepare")) settings.MaxAutoPrepare = 200;
        if (!settings.ShouldSerialize("Auto Prepare Min Usages")) settings.AutoPrepareMinUsages = 2;
        if (!settings.ShouldSerialize("Write Buffer Size")) settings.WriteBufferSize = WriteBuffer;
        if (!settings.ShouldSerialize("Timeout")) settings.Timeout = 5;
        if (!settings.ShouldSerialize("Command Timeout")) settings.CommandTimeout = 30;
        if (!settings.ShouldSerialize("Application Name")) settings.ApplicationName = application;
        // A session that hangs in a transaction would hold the high-water mark; the server ends it, also when its client's host has gone without a word.
        if (string.IsNullOrEmpty(settings.Options))
            settings.Options = "-c statement_timeout=30000 -c idle_in_transaction_session_timeout=30000 -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c tcp_user_timeout=30000";
        var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString);
        return builder.Build();
    }
}
