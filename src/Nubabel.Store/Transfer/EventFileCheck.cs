using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Nubabel.Store;

/// <summary>What a file of events holds.</summary>
/// <param name="Streams">How many streams it has events of.</param>
/// <param name="UnknownAliases">How many events have an alias that this build does not know; they are taken as they are.</param>
/// <param name="Slugs">The organizations that are founded in it, with their slugs and lines.</param>
/// <param name="Subjects">Those whose key its sealed values need and who have none in it.</param>
public sealed record EventFileReport(
    EventFileHeader Header, EventFileEnd End, long First, long Last, long Streams, long UnknownAliases, IReadOnlyList<(string Tenant, string Slug, long Line)> Slugs,
    IReadOnlyCollection<(string Tenant, string Subject)> Subjects)
{
    /// <summary>The ids of the events that are wanted.</summary>
    internal IdFilter Ids { get; init; } = new(0);
}

/// <summary>
/// Reads a whole file of events before anything of it is written: its form, its end, its checksum, the order of its positions, and the versions of each stream, which
/// are contiguous; and that no id stands in it twice. So a file that was cut off or changed changes nothing.
/// </summary>
public sealed class EventFileCheck
{
    /// <summary>An event's line is seldom shorter.</summary>
    private const int ShortLine = 300;

    private readonly EventTypes types;
    private readonly IConsequences consequences;
    private readonly string? only;
    private readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    // A stream is known by half a hash of its name: of millions of them the names would not be small.
    private readonly Dictionary<Int128, long> versions = [];
    private readonly HashSet<(string Tenant, string Subject)> subjects = [];
    private readonly HashSet<(string Tenant, string Subject)> keyed = [];
    private readonly List<(string, string, long)> slugs = [];
    private readonly IdFilter ids;

    // Those that stand there twice, and some that do not: the file is read again for them.
    private readonly HashSet<Guid> doubtful = [];
    private EventFileHeader? header;
    private EventFileEnd? end;
    private long first, last, events, keys, unknown;

    private EventFileCheck(EventTypes types, IConsequences consequences, string? only, long bytes) =>
        (this.types, this.consequences, this.only, ids) = (types, consequences, only, new IdFilter(bytes / ShortLine));

    /// <param name="file">From its beginning; parts of it may be read again.</param>
    /// <param name="only">The tenant that is wanted; null for all. The whole file is looked at in any case.</param>
    /// <param name="progress">Told how many bytes have been read.</param>
    /// <exception cref="BadEventFile">The first fault.</exception>
    public static async Task<EventFileReport> Run(Stream file, EventTypes types, IConsequences consequences, string? only, Action<long> progress, CancellationToken ct)
    {
        var check = new EventFileCheck(types, consequences, only, file.Length);
        using (check.hash)
        {
            var lines = new Lines(file);
            while (await lines.Next(ct) is { } line)
            {
                check.Take(line, lines.Number);
                if (lines.Number % 1024 == 0) progress(lines.Bytes);
            }
            var report = check.Report(lines);
            if (check.doubtful.Count > 0) await check.FindTwins(file, ct);
            return report;
        }
    }

    private EventFileReport Report(Lines lines)
    {
        if (header is null) throw new BadEventFile("The file is empty or has no whole line.");
        if (lines.Torn || end is null) throw new BadEventFile($"The file ends behind line {lines.Number} without its last line: it was cut off. Its export can go on with --resume.");
        return new EventFileReport(header, end, first, last, versions.Count, unknown, slugs, [.. subjects.Except(keyed)]) { Ids = ids };
    }

    /// <summary>The file is read again for ids that may stand in it twice.</summary>
    private async Task FindTwins(Stream file, CancellationToken ct)
    {
        file.Position = 0;
        var lines = new Lines(file);
        var first = new Dictionary<Guid, long>();
        while (await lines.Next(ct) is { } line)
        {
            using var parsed = EventFile.Parse(line, lines.Number);
            if (EventFile.KindOf(parsed) != "seq_id" || EventFile.Event(parsed, lines.Number) is var e && (only is not null && only != e.Tenant || !doubtful.Contains(e.Id))) continue;
            if (!first.TryAdd(e.Id, lines.Number)) throw new BadEventFile(lines.Number, $"The event id {e.Id} stands on line {first[e.Id]} already: one id names one event.");
        }
    }

    private void Take(ReadOnlyMemory<byte> line, long number)
    {
        if (end is not null) throw new BadEventFile(number, "Something stands behind the last line.");
        using var parsed = EventFile.Parse(line, number);
        var kind = EventFile.KindOf(parsed);
        if (number == 1) header = EventFile.Header(parsed, number);
        else if (kind == "seq_id") Take(EventFile.Event(parsed, number), parsed, number);
        else if (kind == "key") Take(EventFile.Key(parsed, number), number);
        else if (kind == "end") Take(EventFile.End(parsed, number), number);
        else throw new BadEventFile(number, "This is neither an event nor a key nor the end.");
        hash.AppendData(line.Span);
    }

    private void Take(SubjectKeyRow key, long number)
    {
        if (events > 0) throw new BadEventFile(number, "Keys stand before the events.");
        keys++;
        keyed.Add((key.Tenant, key.Subject));
    }

    private void Take(LoggedEvent e, JsonDocument line, long number)
    {
        if (e.Position <= last) throw new BadEventFile(number, $"Position {e.Position} stands behind {last}: events stand in the order of the log.");
        if (e.Position < header!.From || e.Position > header.To) throw new BadEventFile(number, $"Position {e.Position} is not between {header.From} and {header.To}, as the first line says.");
        if (header.Tenant is { } whose && whose != e.Tenant) throw new BadEventFile(number, $"The event is of {e.Tenant}, and the first line says that all are of {whose}.");
        if (e.Version < 1) throw new BadEventFile(number, "Versions begin at 1.");
        var before = versions.GetValueOrDefault(NameOf(e));
        if (before > 0 && e.Version != before + 1)
            throw new BadEventFile(number, $"Version {e.Version} of the stream {e.Stream} stands behind {before}: versions of a stream are contiguous.");
        versions[NameOf(e)] = e.Version;
        (first, last, events) = (first == 0 ? e.Position : first, e.Position, events + 1);
        if (only is not null && only != e.Tenant) return;
        if (ids.Add(e.Id)) doubtful.Add(e.Id);
        if (types.Find(e.Type) is null) unknown++;
        if (consequences.SlugOf(e) is { } slug) slugs.Add((e.Tenant, slug, number));
        foreach (var name in new[] { "data", "headers" })
            if (line.RootElement.TryGetProperty(name, out var member)) Sealed(e.Tenant, member);
    }

    private void Take(EventFileEnd said, long number)
    {
        end = said;
        var found = new EventFileEnd(events, keys, Convert.ToHexStringLower(hash.GetCurrentHash()));
        if (found.Events != said.Events || found.Keys != said.Keys)
            throw new BadEventFile(number, $"The file says that it has {said.Events} events and {said.Keys} keys, and has {found.Events} and {found.Keys}: lines are missing or were added.");
        if (found.Sha256 != said.Sha256) throw new BadEventFile(number, "The checksum is not that of the lines before it: the file was changed or damaged since it was written.");
    }

    private void Sealed(string tenant, JsonElement json)
    {
        var found = new HashSet<string>();
        Unsealing.Subjects(json, found);
        foreach (var subject in found) subjects.Add((tenant, subject));
    }

    private static Int128 NameOf(LoggedEvent e) => System.Buffers.Binary.BinaryPrimitives.ReadInt128LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes($"{e.Tenant}\n{e.Stream}")));
}
