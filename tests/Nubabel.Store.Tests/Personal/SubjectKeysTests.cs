using System.Security.Cryptography;
using System.Text;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.Personal;

/// <summary>What is sealed opens for its tenant and subject, and for nobody else; a destroyed key is the end of it.</summary>
public sealed class SubjectKeysTests
{
    private const string Ada = "user-0198aaaa-0000-7000-8000-00000000000a", Bob = "user-0198aaaa-0000-7000-8000-00000000000b";
    private readonly string tenant = Guid.NewGuid().ToString(), other = Guid.NewGuid().ToString();

    [Theory]
    [InlineData("ada@example.org")]
    [InlineData("")]
    [InlineData("Ἀδα Λ. 👩‍👩‍👧")]
    public async Task What_is_sealed_opens_on_any_node_with_the_same_key(string plain)
    {
        var cipher = await (await Node()).Seal(tenant, Ada, plain, default);
        Assert.Equal(plain, await Opened(await Node(), tenant, Ada, cipher));
    }

    [Fact]
    public async Task Sealing_is_the_same_for_the_same_text_of_the_same_subject_only()
    {
        var keys = await Node();
        var cipher = await keys.Seal(tenant, Ada, "Ada", default);
        Assert.Equal(cipher, await (await Node()).Seal(tenant, Ada, "Ada", default));
        Assert.NotEqual(cipher, await keys.Seal(tenant, Ada, "Adb", default));
        Assert.NotEqual(cipher, await keys.Seal(tenant, Bob, "Ada", default));
        Assert.NotEqual(cipher, await keys.Seal(other, Ada, "Ada", default));
    }

    [Fact]
    public async Task Texts_that_a_node_has_sealed_before_are_the_same_again_and_each_its_own()
    {
        await using var remembering = await KeyNode.Start();
        var keys = remembering.Keys;
        // More than a node keeps at hand, so that places are taken over.
        var texts = Enumerable.Range(0, 6_000).Select(i => $"192.0.2.{i}").ToArray();
        var first = new List<string>();
        foreach (var text in texts) first.Add(await keys.Seal(tenant, Ada, text, default));
        Assert.Equal(texts.Length, first.Distinct().Count());
        var node = await Node();
        for (var i = texts.Length - 1; i >= 0; i--)
        {
            Assert.Equal(first[i], await keys.Seal(tenant, Ada, texts[i], default));
            Assert.Equal(first[i], await keys.Seal(tenant, Ada, texts[i], default));
            if (i % 100 == 0) Assert.Equal(texts[i], await Opened(node, tenant, Ada, first[i]));
        }
    }

    [Fact]
    public async Task Another_subjects_key_does_not_open_it()
    {
        var keys = await Node();
        var cipher = await keys.Seal(tenant, Ada, "Ada", default);
        await keys.Seal(tenant, Bob, "Bob", default);
        Assert.Null(await Opened(keys, tenant, Bob, cipher));
    }

    [Fact]
    public async Task Another_tenant_does_not_open_it()
    {
        var keys = await Node();
        var cipher = await keys.Seal(tenant, Ada, "Ada", default);
        Assert.Null(await Opened(keys, other, Ada, cipher));
        // Also where that tenant has a key for a subject of the same name.
        await keys.Seal(other, Ada, "Ada", default);
        Assert.Null(await Opened(keys, other, Ada, cipher));
    }

    [Fact]
    public async Task Another_master_key_does_not_open_it()
    {
        var cipher = await (await Node()).Seal(tenant, Ada, "Ada", default);
        var stranger = new SubjectKeys((await TestDatabase.Shared).Database, new MasterKeys(new MasterKey(RandomNumberGenerator.GetBytes(32))));
        await Assert.ThrowsAnyAsync<CryptographicException>(() => Opened(stranger, tenant, Ada, cipher));
        await Assert.ThrowsAnyAsync<CryptographicException>(() => stranger.Seal(tenant, Ada, "Ada", default).AsTask());
    }

    /// <summary>Rows of keys that are swapped or moved by somebody who can write to the table unwrap to nothing.</summary>
    [Fact]
    public async Task A_wrapped_key_is_bound_to_its_place()
    {
        var database = await TestDatabase.Shared;
        var cipher = await (await Node()).Seal(tenant, Ada, "Ada", default);
        await database.Run($"insert into nubabel.subject_keys (tenant_id, subject, wrapped) select '{other}', subject, wrapped from nubabel.subject_keys where tenant_id = '{tenant}'");
        await Assert.ThrowsAnyAsync<CryptographicException>(() => Opened(new SubjectKeys(database.Database, TestDatabase.Master), other, Ada, cipher));
    }

    [Fact]
    public async Task Altered_text_does_not_open()
    {
        var keys = await Node();
        var cipher = await keys.Seal(tenant, Ada, "Ada", default);
        foreach (var altered in new[] { (cipher[0] == 'A' ? 'B' : 'A') + cipher[1..], cipher[..^4], "", "AAAA", "no base64url!" })
            Assert.Null(await Opened(keys, tenant, Ada, altered));
    }

    [Fact]
    public async Task A_destroyed_key_reads_as_nothing_and_seals_no_more()
    {
        var database = await TestDatabase.Shared;
        var cipher = await (await Node()).Seal(tenant, Ada, "Ada", default);
        await database.Run($"update nubabel.subject_keys set wrapped = null, destroyed = now() where tenant_id = '{tenant}' and subject = '{Ada}'");
        var keys = await Node();
        Assert.Null(await Opened(keys, tenant, Ada, cipher));
        await Assert.ThrowsAsync<SubjectErased>(() => keys.Seal(tenant, Ada, "Ada", default).AsTask());
        Assert.Equal(1L, await database.Scalar<long>($"select count(*) from nubabel.subject_keys where tenant_id = '{tenant}' and wrapped is null"));
    }

    [Fact]
    public async Task Nodes_that_make_a_key_at_the_same_time_agree()
    {
        var nodes = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Node()));
        var sealedTexts = await Task.WhenAll(nodes.Select(node => Task.Run(async () => await node.Seal(tenant, Ada, "Ada", default))));
        Assert.Single(sealedTexts.Distinct());
        Assert.Equal(1L, await (await TestDatabase.Shared).Scalar<long>($"select count(*) from nubabel.subject_keys where tenant_id = '{tenant}'"));
    }

    [Fact]
    public async Task A_page_of_many_subjects_takes_one_query()
    {
        var keys = await Node();
        var subjects = Enumerable.Range(0, 40).Select(i => $"user-{i}").ToArray();
        foreach (var subject in subjects) await keys.Seal(tenant, subject, subject, default);
        var statements = 0;
        await using var proxy = new PostgresProxy((await TestDatabase.Shared).ApiString, sql =>
        {
            if (sql.Contains("subject_keys", StringComparison.Ordinal)) Interlocked.Increment(ref statements);
            return sql;
        });
        await using var database = Database.Open("main", proxy.ConnectionString, proxy.ConnectionString);
        var loaded = await new SubjectKeys(database, TestDatabase.Master).Load(tenant, subjects, default);
        Assert.Equal(subjects.Order(), loaded.Where(k => k.Value is not null).Select(k => k.Key).Order());
        Assert.Equal(1, statements);
    }

    private static async Task<SubjectKeys> Node() => new((await TestDatabase.Shared).Database, TestDatabase.Master);

    private static async Task<string?> Opened(SubjectKeys keys, string tenant, string subject, string cipher)
    {
        var opened = await Unsealing.Open(keys, tenant, Encoding.UTF8.GetBytes($$"""{"$p":1,"s":"{{subject}}","c":"{{cipher}}"}"""), default);
        return System.Text.Json.JsonSerializer.Deserialize<string?>(opened.Span);
    }
}
