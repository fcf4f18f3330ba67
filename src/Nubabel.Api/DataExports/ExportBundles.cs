using System.IO.Compression;
using System.Security.Cryptography;
using System.Text.Json;
using Nubabel.Api.Flags;
using Nubabel.Api.Host;
using Nubabel.Api.Jobs;
using Nubabel.Api.Retention;
using Nubabel.Domain;
using Nubabel.Domain.DataExports;
using Nubabel.Domain.Jobs;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.DataExports;
using Nubabel.Store;

namespace Nubabel.Api.DataExports;

/// <summary>What a bundle is made of.</summary>
public sealed record BundleRequest(ExportScope Scope, Id<User> Owner);

/// <summary>A file of a bundle, as its manifest names it.</summary>
public sealed record ManifestFile(string Name, long Bytes, string Sha256);

/// <summary>
/// Makes bundles: a ZIP archive of the data as JSON, as CSV and as a page, with a manifest of checksums. It goes into a sealed file as it is made; an attempt that
/// is repeated writes a file of its own, and the one that the job's end names counts.
/// </summary>
public sealed class ExportBundles(Node node, Store.Positions positions, Evaluation evaluation, RetentionPolicies retention)
{
    /// <summary>How long a bundle can be downloaded where neither the organization nor the platform has said otherwise.</summary>
    public const int Days = 7;

    /// <summary>Bundles of an owner and scope that can be downloaded at the same time.</summary>
    public const int MostKept = 5;

    public static JobDefinition<BundleRequest> OfUser { get; } = new("data-export", "user:export") { IsLong = true };
    public static JobDefinition<BundleRequest> OfOrganization { get; } = new("organization-export", "organization:export") { IsLong = true };

    /// <summary>Where a bundle is.</summary>
    public static string PathOf(ExportScope scope, Guid export) => $"/api/{(scope == ExportScope.User ? "user" : "organization")}/data-exports/{export:D}/content";

    public async Task<JobEnd> Make(BundleRequest request, JobContext context)
    {
        var ct = context.Cancellation;
        // Once more: any number may have been started before the first was made.
        if (await IsFull(node.Reader(context.Tenant), request, node.Time.GetUtcNow(), ct)) throw TooMany();
        var (export, generation) = (context.Job.Value, Guid.CreateVersion7());
        var content = await ExportContent.Open(node, positions, evaluation, context.Beside(), request.Scope == ExportScope.User ? request.Owner : null, ct);
        var expires = content.Head.MadeAt.AddDays(await retention.DaysOf(context.Tenant, RetentionCatalog.DataExports, ct));
        var files = new SealedFiles(node.Database, node.Subjects, context.Tenant);
        try
        {
            await using var sealedFile = await files.Create(export, generation, Streams.Of(request.Owner), request.Scope == ExportScope.Organization, expires, ct);
            await using var hashed = new Hashed(sealedFile);
            await Write(hashed, content, context, ct);
            await sealedFile.Complete();
            var made = new MakeDataExport(request.Scope, request.Owner, generation, hashed.Bytes, hashed.Sha256, content.UpTo, expires);
            return JobEnd.At(PathOf(request.Scope, export), expires) with { Steps = [new Step<DataExport>(new Id<DataExport>(export), made, fresh: true)] };
        }
        catch (SubjectErased)
        {
            throw new Refused(RefusalKind.Conflict, "data_export.erased", "The data was erased before the export was made.");
        }
    }

    /// <summary>Whether the owner has as many as are kept, as far as the list has read.</summary>
    public static async Task<bool> IsFull(Reader db, BundleRequest request, DateTimeOffset now, CancellationToken ct) =>
        (await DataExportList.Of(db, request.Owner, request.Scope, now, null, MostKept, ct)).Rows.Count >= MostKept;

    public static Refused TooMany() => new(RefusalKind.Conflict, "data_export.too_many", $"There are {MostKept} exports that can still be downloaded.");

    private static async Task Write(Hashed archive, ExportContent content, JobContext context, CancellationToken ct)
    {
        var (rows, manifest, glances) = (0L, new List<ManifestFile>(), new List<ExportGlance>());
        await using var zip = await ZipArchive.CreateAsync(archive, ZipArchiveMode.Create, leaveOpen: true, entryNameEncoding: null, ct);
        await Add("data.json", stream => content.WriteJson(stream, Wrote, ct));
        foreach (var section in content.Sections) await Add($"{section.Name}.csv", async stream => glances.Add(await ExportTables.WriteCsv(stream, section, Wrote, ct)));
        await Add("index.html", stream => ExportTables.WriteHtml(stream, content.Head, glances, ct));
        // Last, since it has the others' checksums; its own is that of the archive.
        await Add("manifest.json", async stream => await JsonSerializer.SerializeAsync(stream, new
        {
            format = ExportHead.Format,
            version = ExportHead.Version,
            content.Head.Scope,
            content.Head.OrganizationId,
            content.Head.UserId,
            content.Head.MadeAt,
            content.Head.Position,
            files = manifest.ToArray(),
        }, Json.Options, ct));

        void Wrote() => context.Report(++rows, null, $"{rows} rows written");

        async Task Add(string name, Func<Stream, Task> write)
        {
            var entry = zip.CreateEntry(name, CompressionLevel.Optimal);
            entry.LastWriteTime = content.Head.MadeAt;
            await using var hashed = new Hashed(await entry.OpenAsync(ct));
            await write(hashed);
            await hashed.FlushAsync(ct);
            manifest.Add(new ManifestFile(name, hashed.Bytes, hashed.Sha256));
            await hashed.CloseAsync();
        }
    }

    /// <summary>Counts and hashes what goes through it.</summary>
    private sealed class Hashed(Stream inner) : Stream
    {
        private readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

        public long Bytes { get; private set; }

        /// <summary>Of what has gone through so far.</summary>
        public string Sha256 => Convert.ToHexStringLower(hash.GetCurrentHash());

        public ValueTask CloseAsync() => inner.DisposeAsync();

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Count(buffer.Span);
            return inner.WriteAsync(buffer, cancellationToken);
        }

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            Count(buffer);
            inner.Write(buffer);
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));
        public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);
        public override void Flush() => inner.Flush();
        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => Bytes; set => throw new NotSupportedException(); }
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing) hash.Dispose();
            base.Dispose(disposing);
        }

        private void Count(ReadOnlySpan<byte> bytes)
        {
            hash.AppendData(bytes);
            Bytes += bytes.Length;
        }
    }
}
