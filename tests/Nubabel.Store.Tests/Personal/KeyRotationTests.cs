using System.Security.Cryptography;
using Npgsql;
using NpgsqlTypes;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.Personal;

/// <summary>The master key is exchanged under the feet of those who write, and nothing is left under the old one.</summary>
public sealed class KeyRotationTests : IAsyncLifetime
{
    private const string Tenant = "0198aaaa-0000-7000-8000-000000000001";
    private static readonly CancellationToken Ct = CancellationToken.None;
    private readonly MasterKey old = new(RandomNumberGenerator.GetBytes(32)), next = new(RandomNumberGenerator.GetBytes(32));
    private TestDatabase database = null!;

    private MasterKeys Both => new(next, old);

    public async Task InitializeAsync() => database = await TestDatabase.New();

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task A_database_from_before_there_was_a_root_goes_on_with_what_it_derived_from_its_master_key()
    {
        await database.Run($"insert into nubabel.stamps (name, value) values ('master-key', '{old.Fingerprint}')");
        await Plant("user-1", old.Wrap("subject-key", $"{Tenant}|user-1", new byte[32]));
        var root = await RootKeys.Open(database.Database.Daemon, new MasterKeys(old), Ct);
        Assert.Equal(old.Derive("email-lookup"), root.Derive("email-lookup"));
        var cipher = await Keys(new MasterKeys(old)).Seal(Tenant, "user-1", "Ada", Ct);
        await Rotated();
        Assert.Equal(root.Fingerprint, (await RootKeys.Open(database.Database.Daemon, new MasterKeys(next), Ct)).Fingerprint);
        Assert.Equal(cipher, await Keys(new MasterKeys(next)).Seal(Tenant, "user-1", "Ada", Ct));
    }

    [Fact]
    public async Task A_new_database_gets_a_root_of_its_own_and_all_who_come_first_agree_on_it()
    {
        var roots = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => RootKeys.Open(database.Database.Daemon, new MasterKeys(old), Ct))));
        Assert.Single(roots.Select(r => r.Fingerprint).Distinct());
        Assert.NotEqual(old.Fingerprint, roots[0].Fingerprint);
        Assert.Equal(1L, await database.Scalar<long>("select count(*) from nubabel.master_keys"));
    }

    /// <summary>Who has asked which key wraps, and writes a moment later, must not be passed over by the one walk through the table.</summary>
    [Fact]
    public async Task A_key_that_is_being_written_under_the_old_master_key_is_waited_for()
    {
        await RootKeys.Open(database.Database.Daemon, new MasterKeys(old), Ct);
        await using var connection = await database.Database.Daemon.OpenConnectionAsync();
        await using var writing = await connection.BeginTransactionAsync();
        await using var insert = new NpgsqlCommand("insert into nubabel.subject_keys (tenant_id, subject, wrapped) select $1, 'user-late', $2 where nubabel.wraps($3)", connection);
        insert.Add(Tenant);
        insert.Add(new MasterKeys(old).Wrap("subject-key", $"{Tenant}|user-late", new byte[32]));
        insert.Add(old.Fingerprint);
        Assert.Equal(1, await insert.ExecuteNonQueryAsync());
        var rotated = Rotated();
        await TestWait.Until("the new key wraps", async () => await database.Scalar<string>("select master from nubabel.key_watch") == next.Fingerprint);
        await TestWait.Until("it waits", async () => await database.Scalar<long>("select count(*) from pg_locks where locktype = 'advisory' and not granted and objid = 5642164") == 1);
        Assert.False(rotated.IsCompleted);
        await writing.CommitAsync();
        await rotated;
        Assert.Equal(0L, await Under(old));
        Assert.Equal(1L, await Under(next));
        await using var refused = new NpgsqlCommand($"select nubabel.wraps('{old.Fingerprint}')", connection);
        Assert.Equal(false, await refused.ExecuteScalarAsync());
    }

    [Fact]
    public async Task Nodes_make_open_and_destroy_keys_while_all_are_wrapped_anew()
    {
        await RootKeys.Open(database.Database.Daemon, new MasterKeys(old), Ct);
        await Plant(3_000);
        // Two nodes that have both keys; each thinks of the old one until it hears otherwise.
        var nodes = new[] { await Node(), await Node() };
        var known = await nodes[0].Keys.Seal(Tenant, "user-known", "Ada", Ct);
        using var end = new CancellationTokenSource();
        var made = new List<(string Subject, string Cipher)>();
        var work = nodes.Select((node, n) => Task.Run(async () =>
        {
            for (var i = 0; !end.IsCancellationRequested; i++)
            {
                var subject = $"new-{n}-{i}";
                var cipher = await node.Keys.Seal(Tenant, subject, "text", Ct);
                lock (made) made.Add((subject, cipher));
                Assert.Equal(known, await node.Keys.Seal(Tenant, "user-known", "Ada", Ct));
                if (i % 10 == 0) Assert.Single(await node.Keys.Destroy(Tenant, [$"planted-{i * 2 + n}"], Ct));
            }
        })).ToArray();
        var result = await Rotated();
        await end.CancelAsync();
        await Task.WhenAll(work);
        Assert.Empty(result.Unreadable);
        Assert.Equal(0L, await Under(old));
        // With the new key alone everything opens, and what was destroyed stays so.
        var keys = Keys(new MasterKeys(next));
        foreach (var (subject, cipher) in made) Assert.Equal(cipher, await keys.Seal(Tenant, subject, "text", Ct));
        Assert.Equal(await database.Scalar<long>("select number from nubabel.key_watch"), await database.Scalar<long>("select count(*) from nubabel.subject_keys where wrapped is null"));
        foreach (var node in nodes) await node.DisposeAsync();
    }

    [Fact]
    public async Task A_key_that_nothing_opens_is_named_and_left_as_it_is()
    {
        await RootKeys.Open(database.Database.Daemon, new MasterKeys(old), Ct);
        await Plant("user-broken", RandomNumberGenerator.GetBytes(68));
        await Plant(10);
        var result = await Rotated();
        Assert.Equal(["nubabel.subject_keys " + Tenant + "|user-broken"], result.Unreadable);
        Assert.Equal(10L, await Under(next));
    }

    [Fact]
    public async Task It_does_not_begin_before_every_node_has_the_new_key()
    {
        await RootKeys.Open(database.Database.Daemon, new MasterKeys(old), Ct);
        await using (await Node(new MasterKeys(old)))
        {
            var refused = await Assert.ThrowsAsync<MasterKeyRefused>(Rotated);
            Assert.StartsWith($"These nodes do not have the new key yet (fingerprint {next.Fingerprint}); start them again with Keys__Master and Keys__MasterPrevious: nubabel ", refused.Message, StringComparison.Ordinal);
            Assert.Equal(old.Fingerprint, await database.Scalar<string>("select master from nubabel.key_watch"));
        }
        await using var node = await Node();
        await TestWait.Until("the other has gone", async () => (await new KeyRotation(database.Database.Daemon, Both).Status(Ct)).Without.Count == 0);
        await Rotated();
    }

    [Fact]
    public async Task A_node_without_the_new_key_writes_nothing_any_more_and_says_so()
    {
        await RootKeys.Open(database.Database.Daemon, new MasterKeys(old), Ct);
        await Plant(1);
        await Rotated();
        var late = new MasterKeys(old);
        await using var node = await Node(late);
        Assert.Equal(next.Fingerprint, late.Unknown);
        await Assert.ThrowsAsync<MasterKeyRefused>(() => node.Keys.Seal(Tenant, "user-new", "x", Ct).AsTask());
        Assert.Equal(0L, await Under(old));
        foreach (var wrong in new[] { new MasterKeys(old), new MasterKeys(new MasterKey(new byte[32])) })
            Assert.Equal($"This database was written with another master key (fingerprint {next.Fingerprint}, this one is {wrong.Configured.Fingerprint}). Without that key its secrets cannot be read. Is it one that was exchanged since, as after a restore, Keys__MasterPrevious takes it.",
                (await Assert.ThrowsAsync<MasterKeyRefused>(() => RootKeys.Open(database.Database.Daemon, wrong, Ct))).Message);
    }

    [Fact]
    public async Task The_old_key_is_needed_until_the_end_and_one_process_rotates_at_a_time()
    {
        await RootKeys.Open(database.Database.Daemon, new MasterKeys(old), Ct);
        await Plant(2_000);
        using var stop = new CancellationTokenSource();
        await using (var busy = await database.Superuser.OpenConnectionAsync())
        {
            await using var hold = new NpgsqlCommand("select pg_advisory_lock(5642167)", busy);
            await hold.ExecuteNonQueryAsync();
            Assert.Equal("Another process rotates the master key at this moment.", (await Assert.ThrowsAsync<MasterKeyRefused>(Rotated)).Message);
            await using var release = new NpgsqlCommand("select pg_advisory_unlock(5642167)", busy);
            await release.ExecuteNonQueryAsync();
        }
        // Stopped after its first batch, as a kill would.
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => new KeyRotation(database.Database.Daemon, Both).Run((done, _) =>
        {
            if (done > 0) stop.Cancel();
        }, stop.Token));
        Assert.Equal(
            $"Keys of this database are still wrapped by the master key with the fingerprint {old.Fingerprint}. Keys__MasterPrevious must name it until nubabel master-key rotate has ended.",
            (await Assert.ThrowsAsync<MasterKeyRefused>(() => RootKeys.Open(database.Database.Daemon, new MasterKeys(next), Ct))).Message);
        var status = await new KeyRotation(database.Database.Daemon, Both).Status(Ct);
        Assert.True(status.IsUnderWay);
        Assert.Equal((next.Fingerprint, 500L, 1_500L), (status.Current, status.Keys[0].Wrapped[next.Fingerprint], status.Keys[0].Wrapped[old.Fingerprint]));
        Assert.Equal(1_500, (await Rotated()).Rewrapped);
        Assert.False((await new KeyRotation(database.Database.Daemon, Both).Status(Ct)).IsUnderWay);
        await RootKeys.Open(database.Database.Daemon, new MasterKeys(next), Ct);
    }

    private Task<RotationResult> Rotated() => Task.Run(() => new KeyRotation(database.Database.Daemon, Both).Run((_, _) => { }, Ct));

    private SubjectKeys Keys(MasterKeys masters) => new(database.Database, masters);

    private async Task<WatchedKeys> Node(MasterKeys? masters = null)
    {
        masters ??= Both;
        if (masters.Find(old.Fingerprint) is not null && await database.Scalar<long>("select count(*) from nubabel.master_keys where fingerprint = '" + old.Fingerprint + "'") > 0) await RootKeys.Open(database.Database.Daemon, masters, Ct);
        var keys = Keys(masters);
        var watch = new KeyWatch(database.DaemonString, keys);
        watch.Start();
        await watch.Heard.WaitAsync(TestWait.Bound);
        return new WatchedKeys(keys, watch);
    }

    private Task<long> Under(MasterKey key) => database.Scalar<long>($"select count(*) from nubabel.subject_keys where encode(substring(wrapped from 1 for 8), 'hex') = '{key.Fingerprint}'");

    private async Task Plant(int count)
    {
        var masters = new MasterKeys(old);
        var rows = Enumerable.Range(0, count).Select(i => $"planted-{i}").ToArray();
        await using var insert = database.Superuser.CreateCommand("insert into nubabel.subject_keys (tenant_id, subject, wrapped) select $1, s, w from unnest($2, $3) u (s, w)");
        insert.Parameters.Add(new NpgsqlParameter<string> { TypedValue = Tenant });
        insert.Parameters.Add(new NpgsqlParameter { Value = rows, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Varchar });
        insert.Parameters.Add(new NpgsqlParameter { Value = rows.Select(s => masters.Wrap("subject-key", $"{Tenant}|{s}", RandomNumberGenerator.GetBytes(32))).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bytea });
        await insert.ExecuteNonQueryAsync();
    }

    private async Task Plant(string subject, byte[] wrapped)
    {
        await using var insert = database.Superuser.CreateCommand("insert into nubabel.subject_keys (tenant_id, subject, wrapped) values ($1, $2, $3)");
        insert.Parameters.Add(new NpgsqlParameter<string> { TypedValue = Tenant });
        insert.Parameters.Add(new NpgsqlParameter<string> { TypedValue = subject });
        insert.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = wrapped });
        await insert.ExecuteNonQueryAsync();
    }

    private sealed record WatchedKeys(SubjectKeys Keys, KeyWatch Watch) : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => Watch.DisposeAsync();
    }
}
