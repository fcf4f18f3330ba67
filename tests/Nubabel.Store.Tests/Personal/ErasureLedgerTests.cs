using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Text;

namespace Nubabel.Store.Tests.Personal;

/// <summary>The ledger on disk: what is written is there, and whatever is done to it is noticed.</summary>
public sealed class ErasureLedgerTests : IDisposable
{
    private static readonly byte[] Key = [.. Enumerable.Range(7, 32).Select(i => (byte)i)];
    private readonly string directory = Directory.CreateTempSubdirectory("nubabel-ledger-").FullName;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    [Fact]
    public async Task What_several_processes_have_entered_is_there_in_order()
    {
        using var a = Open();
        using var b = Open();
        var entries = Enumerable.Range(0, 6).Select(Entry).ToArray();
        for (var i = 0; i < 6; i++) await (i % 2 == 0 ? a : b).Enter(entries[i], default);

        using var later = Open();
        Assert.Equal(entries.Select(Text).Order(), (await later.Read(default)).Select(Text).Order());
        Assert.Equal(2, Files().Length);
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Files()[0]));
    }

    /// <summary>What is written into a file that nobody finds any more is nowhere, however well the write went.</summary>
    [Theory]
    [InlineData("the file is taken away")]
    [InlineData("the file is put back from an older copy")]
    [InlineData("the file is emptied")]
    [InlineData("the file is longer")]
    [InlineData("the directory is emptied")]
    [InlineData("the directory is gone")]
    [InlineData("another ledger is there")]
    public async Task What_is_taken_away_from_a_running_process_is_noticed_at_its_next_entry(string what)
    {
        using var ledger = Open();
        await ledger.Enter(Entry(0), default);
        var (path, older) = (Files()[0], await File.ReadAllBytesAsync(Files()[0]));
        await ledger.Enter(Entry(1), default);
        var whole = Directory.GetFiles(directory).ToDictionary(f => f, File.ReadAllBytes);
        if (what.StartsWith("the directory", StringComparison.Ordinal) || what.StartsWith("another", StringComparison.Ordinal)) Directory.Delete(directory, recursive: true);
        if (what.EndsWith("emptied", StringComparison.Ordinal) && !Directory.Exists(directory)) Directory.CreateDirectory(directory);
        if (what == "the file is taken away") File.Delete(path);
        if (what == "the file is put back from an older copy") await File.WriteAllBytesAsync(path, older);
        if (what == "the file is emptied") await File.WriteAllBytesAsync(path, []);
        if (what == "the file is longer") await File.AppendAllTextAsync(path, "x");
        if (what == "another ledger is there")
        {
            using var other = new ErasureLedger(directory, Key);
            other.Open(null);
        }

        await Assert.ThrowsAsync<LedgerFault>(() => ledger.Enter(Entry(2), default));

        // Put back as it was, it goes on where it was.
        if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
        Directory.CreateDirectory(directory);
        foreach (var (name, bytes) in whole) await File.WriteAllBytesAsync(name, bytes);
        await ledger.Enter(Entry(2), default);
        using var later = Open();
        Assert.Equal(3, (await later.Read(default)).Count);
    }

    [Theory]
    [InlineData("its file is taken away")]
    [InlineData("its file is longer")]
    [InlineData("the directory is gone")]
    public async Task A_probe_says_whether_an_entry_could_be_written_and_leaves_nothing_behind(string what)
    {
        var shared = Path.Combine(directory, "ledger");
        Directory.CreateDirectory(shared);
        using var ledger = new ErasureLedger(shared, Key);
        ledger.Open(null);
        Assert.True(ledger.Probe());
        await ledger.Enter(Entry(0), default);
        Assert.True(ledger.Probe());
        Assert.Equal(2, Directory.GetFileSystemEntries(shared).Length);

        var (own, away) = (Directory.GetFiles(shared, "*.ndjson").Single(), Path.Combine(directory, "away"));
        var whole = await File.ReadAllBytesAsync(own);
        if (what == "its file is taken away") File.Move(own, away);
        if (what == "its file is longer") await File.AppendAllTextAsync(own, "x");
        if (what == "the directory is gone") Directory.Move(shared, away);
        Assert.Throws<LedgerFault>(() => ledger.Probe());

        if (what == "its file is taken away") File.Move(away, own);
        if (what == "its file is longer") await File.WriteAllBytesAsync(own, whole);
        if (what == "the directory is gone") Directory.Move(away, shared);
        Assert.True(ledger.Probe());
    }

    [Fact]
    public async Task Many_at_once_are_entered_one_after_the_other()
    {
        using var ledger = Open();
        await Task.WhenAll(Enumerable.Range(0, 50).Select(i => ledger.Enter(Entry(i), default)));
        Assert.Equal(50, (await ledger.Read(default)).Count);
    }

    /// <summary>They all come past the look whether there is one, and only one of them may give its own the name.</summary>
    [Fact]
    public async Task Of_many_who_begin_a_ledger_at_once_one_does()
    {
        for (var round = 0; round < 100; round++)
        {
            var shared = Path.Combine(directory, $"{round}");
            using var all = new Barrier(8);
            var ids = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Factory.StartNew(() =>
            {
                using var ledger = new ErasureLedger(shared, Key);
                all.SignalAndWait();
                return ledger.Open(null);
            }, default, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
            Assert.Single(ids.Distinct());
            Assert.Single(Directory.GetFiles(shared));
        }
    }

    [Fact]
    public async Task Every_altered_byte_is_found()
    {
        using (var ledger = Open())
            for (var i = 0; i < 3; i++) await ledger.Enter(Entry(i), default);
        var path = Files()[0];
        var whole = await File.ReadAllBytesAsync(path);
        var random = new Random(1);
        for (var round = 0; round < 200; round++)
        {
            var altered = (byte[])whole.Clone();
            altered[random.Next(altered.Length)] ^= (byte)(1 << random.Next(7));
            await File.WriteAllBytesAsync(path, altered);
            using var ledger = new ErasureLedger(directory, Key);
            await Assert.ThrowsAsync<LedgerFault>(() => ledger.Read(default));
        }
    }

    [Theory]
    [InlineData("a line taken out", 2)]
    [InlineData("two lines exchanged", 2)]
    [InlineData("the first line taken out", 1)]
    [InlineData("a line twice", 3)]
    public async Task Lines_that_are_not_as_they_were_are_named(string deed, int line)
    {
        using (var ledger = Open())
            for (var i = 0; i < 4; i++) await ledger.Enter(Entry(i), default);
        var path = Files()[0];
        var lines = await File.ReadAllLinesAsync(path);
        await File.WriteAllTextAsync(path, string.Concat((deed switch
        {
            "a line taken out" => [lines[0], lines[2], lines[3]],
            "two lines exchanged" => [lines[0], lines[2], lines[1], lines[3]],
            "the first line taken out" => lines[1..],
            _ => (string[])[lines[0], lines[1], lines[1], lines[2]],
        }).Select(l => l + "\n")));
        using var again = new ErasureLedger(directory, Key);
        Assert.StartsWith($"Line {line} of {path} was altered", (await Assert.ThrowsAsync<LedgerFault>(() => again.Read(default))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_of_another_name_or_another_key_is_not_believed()
    {
        using (var ledger = Open()) await ledger.Enter(Entry(0), default);
        using (var stranger = new ErasureLedger(directory, new byte[32]))
        {
            Assert.Throws<LedgerFault>(() => stranger.Open(null));
            await Assert.ThrowsAsync<LedgerFault>(() => stranger.Read(default));
        }
        File.Move(Files()[0], Path.Combine(directory, "another.ndjson"));
        using var again = new ErasureLedger(directory, Key);
        await Assert.ThrowsAsync<LedgerFault>(() => again.Read(default));
    }

    [Fact]
    public async Task A_line_that_is_cut_off_is_said_and_mended()
    {
        using (var ledger = Open())
            for (var i = 0; i < 2; i++) await ledger.Enter(Entry(i), default);
        var path = Files()[0];
        var whole = await File.ReadAllBytesAsync(path);
        await File.WriteAllBytesAsync(path, whole[..^10]);
        using var torn = new ErasureLedger(directory, Key);
        Assert.Contains("is cut off", (await Assert.ThrowsAsync<LedgerFault>(() => torn.Read(default))).Message, StringComparison.Ordinal);
        Assert.Equal((1, 0), (torn.Mend().Count, torn.Mend().Count));
        Assert.Equal(Text(Entry(0)), Text(Assert.Single(await torn.Read(default))));
    }

    [Fact]
    public async Task A_line_that_is_just_being_written_is_waited_for()
    {
        using (var ledger = Open())
            for (var i = 0; i < 2; i++) await ledger.Enter(Entry(i), default);
        var path = Files()[0];
        var whole = await File.ReadAllBytesAsync(path);
        await File.WriteAllBytesAsync(path, whole[..^10]);
        using var reader = new ErasureLedger(directory, Key);
        var reading = reader.Read(default);
        await File.WriteAllBytesAsync(path, whole);
        Assert.Equal(2, (await reading).Count);
    }

    [Fact]
    public void A_ledger_that_is_not_there_or_another_one_is_refused()
    {
        string id;
        using (var ledger = Open()) id = ledger.Open(null);
        using (var same = new ErasureLedger(directory, Key)) Assert.Equal(id, same.Open(id));
        using (var other = new ErasureLedger(directory, Key)) Assert.Contains("belongs to", Assert.Throws<LedgerFault>(() => other.Open(Guid.NewGuid().ToString())).Message, StringComparison.Ordinal);
        using var away = new ErasureLedger(Path.Combine(directory, "unmounted"), Key);
        Assert.Contains($"{id} is not in", Assert.Throws<LedgerFault>(() => away.Open(id)).Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(directory, "unmounted")));
    }

    [Fact]
    public async Task What_cannot_be_written_is_not_in_the_ledger()
    {
        using var ledger = Open();
        Directory.Move(directory, directory + "-away");
        try
        {
            await Assert.ThrowsAsync<LedgerFault>(() => ledger.Enter(Entry(0), default));
        }
        finally
        {
            Directory.Move(directory + "-away", directory);
        }
        await ledger.Enter(Entry(1), default);
        Assert.Equal(Text(Entry(1)), Text(Assert.Single(await ledger.Read(default))));
    }

    /// <summary>Its directory may be read and not written, as after a wrong change of rights; when that is mended, the ledger goes on.</summary>
    [Fact]
    public async Task A_file_that_could_not_be_begun_is_begun_at_the_next_entry()
    {
        if (OperatingSystem.IsWindows()) return;
        using var ledger = Open();
        Task? refused = null;
        AsNobody(() => refused = ledger.Enter(Entry(0), default));
        await Assert.ThrowsAsync<LedgerFault>(() => refused!);
        await ledger.Enter(Entry(1), default);
        Assert.Equal(Text(Entry(1)), Text(Assert.Single(await ledger.Read(default))));
    }

    [Fact]
    public async Task An_entry_says_ids_and_nothing_else()
    {
        using (var ledger = Open()) await ledger.Enter(Entry(3), default);
        var line = (await File.ReadAllTextAsync(Files()[0], Encoding.UTF8)).TrimEnd();
        Assert.Equal(["n", "at", "tenant", "person", "subjects", "mac"], System.Text.Json.JsonDocument.Parse(line).RootElement.EnumerateObject().Select(m => m.Name));
    }

    private ErasureLedger Open()
    {
        var ledger = new ErasureLedger(directory, Key);
        ledger.Open(null);
        return ledger;
    }

    private string[] Files() => [.. Directory.GetFiles(directory, "*.ndjson").Order(StringComparer.Ordinal)];

    private static LedgerEntry Entry(int i) => new(
        new DateTimeOffset(2026, 11, 21, 8, 14, i, TimeSpan.Zero).AddTicks(i * 7), "01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081", Guid.Parse($"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f{i:00}"), [$"user-{i}", $"invitation-{i}"]);

    private static string Text(LedgerEntry e) => $"{e.At:O} {e.Tenant} {e.Person} {string.Join(' ', e.Subjects)}";

    /// <summary>On a thread that may read the directory and not write into it. Root may write everywhere, so there the thread is nobody for a moment.</summary>
    [UnsupportedOSPlatform("windows")]
    private void AsNobody(Action act)
    {
        const UnixFileMode Read = UnixFileMode.UserRead | UnixFileMode.OtherRead, List = Read | UnixFileMode.UserExecute | UnixFileMode.OtherExecute;
        File.SetUnixFileMode(Path.Combine(directory, "ledger.json"), Read);
        File.SetUnixFileMode(directory, List);
        var thread = new Thread(() =>
        {
            if (Environment.IsPrivilegedProcess) _ = setfsuid(65_534);
            act();
            if (Environment.IsPrivilegedProcess) _ = setfsuid(0);
        });
        thread.Start();
        thread.Join();
        File.SetUnixFileMode(directory, List | UnixFileMode.UserWrite);
    }

    [DllImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int setfsuid(int user);
}
