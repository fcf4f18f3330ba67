using System.Security.Cryptography;
using System.Text;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.Personal;

/// <summary>Keys go out and come back whole, for who has the key of the file alone; what was destroyed on either side stays so.</summary>
public sealed class KeyBackupTests : IAsyncLifetime
{
    private const string Tenant = "0198aaaa-0000-7000-8000-000000000001", Other = "0198aaaa-0000-7000-8000-000000000002";
    private static readonly CancellationToken Ct = CancellationToken.None;
    private static readonly DateTimeOffset At = new(2026, 11, 21, 12, 0, 0, TimeSpan.Zero);
    private readonly MasterKey own = new(RandomNumberGenerator.GetBytes(32));
    private readonly RootKey root = new(RandomNumberGenerator.GetBytes(32));
    private TestDatabase source = null!, target = null!;

    public async Task InitializeAsync() => (source, target) = (await TestDatabase.New(), await TestDatabase.New());

    public async Task DisposeAsync()
    {
        await source.DisposeAsync();
        await target.DisposeAsync();
    }

    [Fact]
    public async Task What_is_written_is_there_again_under_another_master_key()
    {
        var keys = Keys(source);
        // More than one chunk, with its last one full and not.
        foreach (var count in new[] { 0, 1, 999, 1_000 })
        {
            var (file, sealedText) = (new MemoryStream(), await keys.Seal(Other, "user-ada", $"{count}", Ct));
            for (var i = await source.Scalar<long>("select count(*) from nubabel.subject_keys"); i < count; i++) await keys.Seal(Tenant, $"user-{i}", "x", Ct);
            var written = await Backup(source).Write(file, own, At, _ => { }, Ct);
            Assert.Equal(Math.Max(1, count), written.Keys);
            Assert.Equal(written, await Backup(source).Check(Again(file), [own], Ct));
            var exchanged = new MasterKeys(new MasterKey(RandomNumberGenerator.GetBytes(32)));
            await target.Run("truncate nubabel.subject_keys");
            var restored = await Backup(target, exchanged).Restore(Again(file), [own], _ => { }, Ct);
            Assert.Equal((written.Keys, 0L, 0), (restored.Written, restored.There, restored.Others.Count));
            Assert.Equal(sealedText, await Keys(target, exchanged).Seal(Other, "user-ada", $"{count}", Ct));
            var again = await Backup(target, exchanged).Restore(Again(file), [own], _ => { }, Ct);
            Assert.Equal((0L, written.Keys), (again.Written, again.There));
        }
    }

    [Fact]
    public async Task What_was_destroyed_here_does_not_come_back_and_what_was_destroyed_there_is_destroyed_here()
    {
        var (keys, file) = (Keys(source), new MemoryStream());
        var ada = await keys.Seal(Tenant, "user-ada", "Ada", Ct);
        await keys.Seal(Tenant, "user-bob", "Bob", Ct);
        await Backup(source).Write(file, own, At, _ => { }, Ct);
        await keys.Destroy(Tenant, ["user-ada"], Ct);
        var restored = await Backup(source).Restore(Again(file), [own], _ => { }, Ct);
        Assert.Equal((0L, 1L, 1L), (restored.Written, restored.There, restored.StayDestroyed));
        await Assert.ThrowsAsync<SubjectErased>(() => Keys(source).Seal(Tenant, "user-ada", "Ada", Ct).AsTask());

        // An older state of the data, into which the keys of a later one come: the later one knows who was erased.
        await Backup(target).Restore(Again(file), [own], _ => { }, Ct);
        Assert.Equal(ada, await Keys(target).Seal(Tenant, "user-ada", "Ada", Ct));
        var later = new MemoryStream();
        Assert.Equal(new KeyBackupResult(1, 1), await Backup(source).Write(later, own, At, _ => { }, Ct));
        Assert.Equal(1, (await Backup(target).Restore(Again(later), [own], _ => { }, Ct)).Destroyed);
        await Assert.ThrowsAsync<SubjectErased>(() => Keys(target).Seal(Tenant, "user-ada", "Ada", Ct).AsTask());
    }

    [Fact]
    public async Task A_subject_that_has_another_key_keeps_it_and_is_named()
    {
        var file = new MemoryStream();
        await Keys(source).Seal(Tenant, "user-ada", "Ada", Ct);
        await Backup(source).Write(file, own, At, _ => { }, Ct);
        var here = await Keys(target).Seal(Tenant, "user-ada", "Ada", Ct);
        Assert.Equal([$"{Tenant} user-ada"], (await Backup(target).Restore(Again(file), [own], _ => { }, Ct)).Others);
        Assert.Equal(here, await Keys(target).Seal(Tenant, "user-ada", "Ada", Ct));
    }

    [Fact]
    public async Task A_file_says_nothing_to_who_does_not_have_its_key_and_shows_every_damage()
    {
        var keys = Keys(source);
        for (var i = 0; i < 1_500; i++) await keys.Seal(Tenant, $"user-{i}", "x", Ct);
        var file = new MemoryStream();
        await Backup(source).Write(file, own, At, _ => { }, Ct);
        var lines = Encoding.UTF8.GetString(file.ToArray()).Split('\n');
        Assert.Equal(3, lines.Length);
        Assert.DoesNotContain("user-", string.Join('\n', lines), StringComparison.Ordinal);
        await Refused("is sealed by the key with the fingerprint", lines, [new MasterKey(new byte[32])]);
        await Refused("was taken from another database", lines, [own], new RootKey(new byte[32]));
        await Refused("does not open", [lines[0], lines[1]]);
        await Refused("does not open", [lines[0], lines[2], lines[1]]);
        await Refused("does not open", [lines[0], lines[2]]);
        await Refused("does not open", [.. lines, lines[2]]);
        await Refused("does not open", [lines[0], lines[1][..^10] + (lines[1][^10] == 'A' ? 'B' : 'A') + lines[1][^9..], lines[2]]);
        await Refused("was cut off behind its first line", [lines[0]]);
        await Refused("The first line of the file was altered", [lines[0].Replace("2026-11-21", "2027-11-21", StringComparison.Ordinal), lines[1], lines[2]]);
        await Refused("no file of subject keys", ["dear diary"]);
        await Refused("is empty", []);
    }

    private async Task Refused(string why, string[] lines, IReadOnlyList<DerivingKey>? openers = null, RootKey? other = null)
    {
        using var file = new MemoryStream(Encoding.UTF8.GetBytes(string.Join('\n', lines)));
        var backup = new KeyBackup(source.Database.Daemon, Keys(source), other ?? root);
        Assert.Contains(why, (await Assert.ThrowsAsync<BadKeyFile>(() => backup.Check(file, openers ?? [own], Ct))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_database_whose_keys_were_not_restored_with_it_is_refused_until_they_are()
    {
        var daemon = source.Database.Daemon;
        await MissingKeys.Refuse(daemon, Ct);
        var cipher = await Keys(source).Seal(Tenant, "user-ada", "Ada", Ct);
        await source.Run($$$"""
            insert into events.mt_streams (tenant_id, id, type, version) values ('{{{Tenant}}}', 'user-ada', 'user', 1);
            insert into events.mt_events (seq_id, id, stream_id, version, data, type, tenant_id, headers) values
              (nextval('events.mt_events_sequence'), gen_random_uuid(), 'user-ada', 1, '{"name": [{"$p": 1, "s": "user-ada", "c": "{{{cipher}}}"}], "old": {"$p": 1, "s": "", "c": "eA"}}', 'x', '{{{Tenant}}}', '{"ip": {"$p": 1, "s": "user-bob", "c": "x"}}')
            """);
        await MissingKeys.Refuse(daemon, Ct);
        Assert.Equal([(Tenant, "user-bob")], await MissingKeys.Read(daemon, Ct));
        await source.Run("truncate nubabel.subject_keys");
        Assert.StartsWith("This database holds sealed personal values, and nubabel.subject_keys is empty", (await Assert.ThrowsAsync<KeysMissing>(() => MissingKeys.Refuse(daemon, Ct))).Message, StringComparison.Ordinal);
        Assert.Equal([(Tenant, "user-ada"), (Tenant, "user-bob")], await MissingKeys.Read(daemon, Ct));
        await Keys(source).Destroy(Tenant, ["user-ada", "user-bob"], Ct);
        await MissingKeys.Refuse(daemon, Ct);
        Assert.Empty(await MissingKeys.Read(daemon, Ct));
    }

    private static SubjectKeys Keys(TestDatabase database, MasterKeys? masters = null) => new(database.Database, masters ?? TestDatabase.Master);

    private KeyBackup Backup(TestDatabase database, MasterKeys? masters = null) => new(database.Database.Daemon, Keys(database, masters), root);

    private static MemoryStream Again(MemoryStream file) => new(file.ToArray());

}
