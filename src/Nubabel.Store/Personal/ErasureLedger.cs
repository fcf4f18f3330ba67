using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Nubabel.Store;

/// <summary>One erasure as the ledger has it: ids and no words.</summary>
/// <param name="Person">The account's id.</param>
/// <param name="Subjects">Whose keys are destroyed.</param>
public sealed record LedgerEntry(DateTimeOffset At, string Tenant, Guid Person, IReadOnlyList<string> Subjects);

/// <summary>The ledger cannot be believed, or cannot be written; the message is a sentence for an operator and says what to do.</summary>
public sealed class LedgerFault(string sentence, Exception? inner = null) : Exception(sentence, inner);

/// <summary>
/// Who has been erased, outside of the database, so that a backup which is restored brings nobody back. A directory that all nodes share: a file that says which
/// ledger it is, and a file of lines for each process that has written. An entry is on disk when <see cref="Enter"/> returns, and no key is destroyed before that.
/// Each line carries a MAC over itself, the one before it and the file's name, under a key that follows from the master key: what is altered, taken out of the
/// middle or brought from elsewhere is found. Lines that were cut off at the end are found by the database, which knows what it had entered.
/// </summary>
/// <param name="directory">Not in the database's directory, and not on its disk if there is a choice.</param>
/// <param name="key">32 bytes.</param>
public sealed partial class ErasureLedger(string directory, byte[] key) : IDisposable
{
    private const string Head = "ledger.json", Lines = "*.ndjson", MacBegins = ",\"mac\":\"", MacEnds = "\"}";
    private const int MacCharacters = 64;

    /// <summary>How long a line that another process is just writing may be incomplete.</summary>
    private static readonly TimeSpan LongestLine = TimeSpan.FromSeconds(2);

    private static readonly JsonSerializerOptions Form = new(JsonSerializerDefaults.Web) { PropertyNameCaseInsensitive = false, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true };
    private readonly SemaphoreSlim turn = new(1);
    private string name = "", last = "", opened = "";
    private long length;
    private int lines;

    public string Directory => directory;

    /// <summary>Which ledger this is; made where there is none.</summary>
    /// <param name="known">Which one the database belongs to; null where it belongs to none yet, and then one is made if the directory has none.</param>
    /// <exception cref="LedgerFault">It is missing, damaged, or another one.</exception>
    public string Open(string? known)
    {
        try
        {
            var head = Path.Combine(directory, Head);
            if (!File.Exists(head))
            {
                if (known is not null)
                    throw new LedgerFault($"The ledger of erasures {known} is not in {directory}. Mount it there, or name its directory in Erasures__Ledger; without it nobody knows who was erased since this database was backed up.");
                Make(head);
            }
            var found = JsonSerializer.Deserialize<HeadLine>(File.ReadAllBytes(head), Form);
            if (found is null || !Same(found.Mac, MacOf(Head, "", found.Ledger)))
                throw new LedgerFault($"{head} was altered, or written under another master key. Restore it from a copy of the ledger.");
            if (known is not null && found.Ledger != known)
                throw new LedgerFault($"{directory} holds the ledger of erasures {found.Ledger}, and this database belongs to {known}. Erasures__Ledger names the directory of the right one.");
            return opened = found.Ledger;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw Unreadable(e);
        }
    }

    /// <summary>All entries, file by file, each checked.</summary>
    /// <exception cref="LedgerFault">Something of it was altered or cut off; the sentence names the place.</exception>
    public async Task<IReadOnlyList<LedgerEntry>> Read(CancellationToken ct)
    {
        var all = new List<LedgerEntry>();
        try
        {
            foreach (var path in System.IO.Directory.EnumerateFiles(directory, Lines).Order(StringComparer.Ordinal))
            {
                for (var started = TimeProvider.System.GetTimestamp(); ;)
                {
                    var bytes = await Bytes(path, ct);
                    // The last line may be under way in another process.
                    var torn = bytes is null || bytes.Length > 0 && bytes[^1] != (byte)'\n';
                    if (torn && TimeProvider.System.GetElapsedTime(started) < LongestLine)
                    {
                        await Task.Delay(50, ct);
                        continue;
                    }
                    if (torn) throw new LedgerFault($"The last line of {path} is cut off. Restore the file from a copy; if its machine lost power while it was written, `nubabel erasures mend` takes the line away: no key was destroyed for it.");
                    all.AddRange(Parse(path, bytes!));
                    break;
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Unreadable(e);
        }
        return all;
    }

    /// <summary>What the file holds; null where it became shorter while it was read: half a line is just being taken back.</summary>
    private static async Task<byte[]?> Bytes(string path, CancellationToken ct)
    {
        try
        {
            return await File.ReadAllBytesAsync(path, ct);
        }
        catch (EndOfStreamException)
        {
            return null;
        }
    }

    /// <summary>Adds an entry. When this returns it is on disk.</summary>
    /// <exception cref="LedgerFault">It could not be written; then it is not in the ledger.</exception>
    public async Task Enter(LedgerEntry entry, CancellationToken ct)
    {
        await turn.WaitAsync(ct);
        try
        {
            IsThere();
            using var file = name.Length == 0 ? Begin() : Again();
            var said = JsonSerializer.Serialize(new Line(lines + 1, entry.At, entry.Tenant, entry.Person, entry.Subjects), Form)[..^1];
            var mac = MacOf(name, last, said);
            var bytes = Encoding.UTF8.GetBytes($"{said}{MacBegins}{mac}{MacEnds}\n");
            try
            {
                file.Write(bytes);
                file.Flush(flushToDisk: true);
            }
            catch (IOException)
            {
                // Half a line must not stay: every start would refuse it. Where even that fails, the next entry begins a file of its own.
                End(file);
                throw;
            }
            (lines, last, length) = (lines + 1, mac, length + bytes.Length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LedgerFault($"The ledger of erasures in {directory} cannot be written: {e.Message}", e);
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>Takes away what is cut off at the end of files. Returns how many bytes that were, by file.</summary>
    public IReadOnlyList<(string Path, int Bytes)> Mend()
    {
        var mended = new List<(string Path, int Bytes)>();
        try
        {
            foreach (var path in System.IO.Directory.EnumerateFiles(directory, Lines).Order(StringComparer.Ordinal))
            {
                // Nobody writes meanwhile: what looks cut off may be half of a line that is just being written.
                using var torn = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
                var bytes = new byte[torn.Length];
                torn.ReadExactly(bytes);
                var whole = bytes.AsSpan().LastIndexOf((byte)'\n') + 1;
                if (whole == bytes.Length) continue;
                torn.SetLength(whole);
                torn.Flush(flushToDisk: true);
                mended.Add((path, bytes.Length - whole));
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Unreadable(e);
        }
        return mended;
    }

    public void Dispose() => turn.Dispose();

    /// <summary>Makes sure that the ledger which was opened still is where it was.</summary>
    /// <exception cref="LedgerFault">It is gone, or another one is there.</exception>
    public void IsThere()
    {
        if (opened.Length > 0) Open(opened);
    }

    private FileStream Begin()
    {
        // The name is part of what is signed, and of a time, so that files stand in the order in which they were begun.
        var fresh = $"{Guid.CreateVersion7(TimeProvider.System.GetUtcNow()):D}.ndjson";
        // One write reaches the file at once, so there is nothing that a flush could forget.
        var file = PrivateFile.Create(Path.Combine(directory, fresh), buffer: 0);
        try
        {
            Directories.Flush(directory);
        }
        catch
        {
            file.Dispose();
            throw;
        }
        // Only what is there is gone on with: after a failure the next entry begins a file of its own.
        (name, lines, last, length) = (fresh, 0, "", 0);
        return file;
    }

    // By its name each time: what is written into a file that somebody has taken away or put back from a copy would be nowhere.
    private FileStream Again()
    {
        var path = Path.Combine(directory, name);
        if (!File.Exists(path))
            throw new LedgerFault($"{path}, which this process has written, is gone. Put it back from a copy of the ledger; no key is destroyed until it is there.");
        var file = new FileStream(path, new FileStreamOptions { Mode = FileMode.Open, Access = FileAccess.Write, Share = FileShare.Read, BufferSize = 0 });
        if (file.Length == length)
        {
            file.Position = length;
            return file;
        }
        var found = file.Length;
        file.Dispose();
        throw new LedgerFault($"{path} has {found} bytes, and this process has written {length}: somebody else has changed it. Put the youngest copy of it back; no key is destroyed until it is there.");
    }

    private void End(FileStream broken)
    {
        try
        {
            broken.SetLength(length);
            broken.Flush(flushToDisk: true);
        }
        catch (IOException)
        {
            // A start will name it; the next entry begins a file of its own.
            name = "";
        }
    }

    private void Make(string head)
    {
        var id = Guid.CreateVersion7(TimeProvider.System.GetUtcNow()).ToString("D");
        PrivateFile.TryMake(head, JsonSerializer.SerializeToUtf8Bytes(new HeadLine(id, MacOf(Head, "", id)), Form));
    }

    private List<LedgerEntry> Parse(string path, ReadOnlySpan<byte> bytes)
    {
        var (entries, before, of) = (new List<LedgerEntry>(), "", Path.GetFileName(path));
        while (!bytes.IsEmpty)
        {
            var end = bytes.IndexOf((byte)'\n');
            var (said, mac) = Cut(Encoding.UTF8.GetString(bytes[..end]));
            // What is signed is the text as it stands, so nothing of it can be written in another way.
            if (!Same(mac, MacOf(of, before, said)) || JsonSerializer.Deserialize<Line>(said + "}", Form) is not { } line || line.N != entries.Count + 1)
                throw new LedgerFault($"Line {entries.Count + 1} of {path} was altered, or a line before it is missing, or it was written under another master key. Restore the file from a copy of the ledger.");
            entries.Add(new LedgerEntry(line.At, line.Tenant, line.Person, line.Subjects));
            before = mac;
            bytes = bytes[(end + 1)..];
        }
        return entries;
    }

    /// <summary>What a line says, and the MAC at its end; nothing where it has none.</summary>
    private static (string Said, string Mac) Cut(string line)
    {
        var begin = line.Length - MacBegins.Length - MacCharacters - MacEnds.Length;
        return begin > 0 && line.AsSpan(begin).StartsWith(MacBegins) && line.EndsWith(MacEnds, StringComparison.Ordinal)
            ? (line[..begin], line.Substring(begin + MacBegins.Length, MacCharacters))
            : ("", "");
    }

    private LedgerFault Unreadable(Exception e) => new($"The ledger of erasures in {directory} cannot be read: {e.Message} Erasures__Ledger names its directory.", e);

    private string MacOf(string of, string before, string text) => Convert.ToHexStringLower(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes($"{of}\n{before}\n{text}")));

    private static bool Same(string a, string b) => CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(a), Encoding.ASCII.GetBytes(b));

    private sealed record HeadLine(string Ledger, string Mac);

    private sealed record Line(int N, DateTimeOffset At, string Tenant, Guid Person, IReadOnlyList<string> Subjects);
}
