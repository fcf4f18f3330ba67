using System.Security.Cryptography;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.Personal;

/// <summary>Files in sealed parts: whole or not at all, and dead with their subject's key.</summary>
public sealed class SealedFileTests
{
    private static readonly DateTimeOffset Later = TimeProvider.System.GetUtcNow().AddDays(1);
    private readonly string tenant = Guid.NewGuid().ToString();
    private readonly Guid file = Guid.NewGuid(), generation = Guid.NewGuid();

    /// <summary>A node that remembers no key.</summary>
    private async Task<SealedFiles> Files()
    {
        var database = await TestDatabase.Shared;
        return new SealedFiles(database.Database, new SubjectKeys(database.Database, TestDatabase.Master), tenant);
    }

    private async Task<byte[]> Write(int size, bool holdsAll = false)
    {
        var bytes = RandomNumberGenerator.GetBytes(size);
        await using var writer = await (await Files()).Create(file, generation, "user-1", holdsAll, Later, default);
        for (var at = 0; at < size; at += 70_000) await writer.WriteAsync(bytes.AsMemory(at, Math.Min(70_000, size - at)));
        await writer.Complete();
        Assert.Equal(size, writer.Written);
        return bytes;
    }

    private async Task<byte[]?> Read(DateTimeOffset? now = null)
    {
        if (await (await Files()).Open(file, generation, now ?? TimeProvider.System.GetUtcNow(), default) is not { } parts) return null;
        using var all = new MemoryStream();
        await foreach (var part in parts) all.Write(part.Span);
        return all.ToArray();
    }

    private async Task Run(string sql) => await (await TestDatabase.Shared).Run(sql.Replace("$file", $"tenant_id = '{tenant}' and file = '{file}'", StringComparison.Ordinal));

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(262_144)]
    [InlineData(262_145)]
    [InlineData(1_000_000)]
    public async Task What_is_written_is_read(int size) => Assert.Equal(await Write(size), await Read());

    [Theory]
    [InlineData("delete from nubabel.sealed_parts where $file and part = 3")]
    [InlineData("delete from nubabel.sealed_parts where $file and part = 1")]
    [InlineData("delete from nubabel.sealed_parts where $file")]
    [InlineData("update nubabel.sealed_parts set bytes = set_byte(bytes, 40, (get_byte(bytes, 40) + 1) % 256) where $file and part = 2")]
    [InlineData("update nubabel.sealed_parts p set bytes = (select o.bytes from nubabel.sealed_parts o where o.file = p.file and o.part = 3 - p.part) where $file and part in (1, 2)")]
    public async Task What_was_altered_cut_off_or_moved_does_not_open(string damage)
    {
        await Write(1_000_000);
        await Run(damage);
        await Assert.ThrowsAnyAsync<CryptographicException>(() => Read());
    }

    [Fact]
    public async Task It_is_gone_when_it_has_expired_is_deleted_or_its_subject_is_erased()
    {
        await Write(10);
        Assert.NotNull(await Read());
        Assert.Null(await Read(Later));
        await Run($"update nubabel.subject_keys set wrapped = null, destroyed = now() where tenant_id = '{tenant}' and subject = 'user-1'");
        Assert.Null(await Read());
        await (await Files()).Delete(file, default);
        Assert.Equal(0, await (await TestDatabase.Shared).Scalar<long>($"select (select count(*) from nubabel.sealed_files where file = '{file}') + (select count(*) from nubabel.sealed_parts where file = '{file}')"));
    }

    [Fact]
    public async Task What_holds_others_data_too_ends_with_the_erasure_of_anybody()
    {
        await Write(10, holdsAll: true);
        Assert.NotNull(await Read());
        await Run($"insert into nubabel.subject_keys (tenant_id, subject, wrapped, destroyed) values ('{tenant}', 'user-2', null, now())");
        Assert.Null(await Read());
    }

    [Fact]
    public async Task A_new_generation_takes_the_place_of_one_that_is_still_being_written()
    {
        var files = await Files();
        await using var lost = await files.Create(file, Guid.NewGuid(), "user-1", false, Later, default);
        await lost.WriteAsync(new byte[300_000]);
        var bytes = await Write(300_000);
        await Assert.ThrowsAsync<InvalidOperationException>(lost.Complete);
        Assert.Equal(bytes, await Read());
        Assert.Equal(2, await (await TestDatabase.Shared).Scalar<long>($"select count(*) from nubabel.sealed_parts where file = '{file}'"));
    }

    [Fact]
    public async Task What_has_expired_is_deleted_and_the_rest_is_not()
    {
        await Write(300_000);
        var database = await TestDatabase.Shared;
        while (await SealedFiles.Expire(new PlatformWriter(database.Database), TimeProvider.System.GetUtcNow(), default)) { }
        Assert.NotNull(await Read());
        await Run("update nubabel.sealed_files set expires = now() where $file");
        while (await SealedFiles.Expire(new PlatformWriter(database.Database), TimeProvider.System.GetUtcNow().AddMinutes(1), default)) { }
        Assert.Equal(0, await database.Scalar<long>($"select count(*) from nubabel.sealed_parts where file = '{file}'"));
    }
}
