using System.Text;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.Personal;

/// <summary>A node that remembers keys and watches for their destruction.</summary>
internal sealed class KeyNode : IAsyncDisposable
{
    private readonly KeyWatch watch;
    private readonly Database? own;

    private KeyNode(SubjectKeys keys, KeyWatch watch, Database? own) => (Keys, this.watch, this.own) = (keys, watch, own);

    public SubjectKeys Keys { get; }
    public KeyCache Cache => Keys.Cache;

    /// <param name="api">Where its questions go; where nothing is said straight to the shared database.</param>
    /// <param name="daemon">Where its watch looks.</param>
    public static async Task<KeyNode> Start(string? api = null, string? daemon = null, int remembered = 20_000)
    {
        var shared = await TestDatabase.Shared;
        var own = api is null ? null : Database.Open("main", api, shared.DaemonString);
        var keys = new SubjectKeys(own ?? shared.Database, TestDatabase.Master, remembered);
        var watch = new KeyWatch(daemon ?? shared.DaemonString, keys);
        watch.Start();
        await watch.Heard.WaitAsync(TestWait.Bound);
        return new KeyNode(keys, watch, own);
    }

    public async Task<string?> Open(string tenant, string subject, string cipher)
    {
        var opened = await Unsealing.Open(Keys, tenant, Encoding.UTF8.GetBytes($$"""{"$p":1,"s":"{{subject}}","c":"{{cipher}}"}"""), default);
        return System.Text.Json.JsonSerializer.Deserialize<string?>(opened.Span);
    }

    /// <summary>Whether it refuses to seal.</summary>
    public async Task<bool> Refuses(string tenant, string subject)
    {
        try
        {
            await Keys.Seal(tenant, subject, Guid.NewGuid().ToString(), default);
            return false;
        }
        catch (SubjectErased)
        {
            return true;
        }
    }

    /// <summary>No look at destructions is sent any more, and nobody says so.</summary>
    public async Task StopWatching() => await watch.DisposeAsync();

    public async ValueTask DisposeAsync()
    {
        await watch.DisposeAsync();
        if (own is not null) await own.DisposeAsync();
    }
}
