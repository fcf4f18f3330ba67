using System.Collections.Concurrent;
using System.Net.Http.Headers;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>
/// Clients that register devices one after the other and never give one up: whatever goes wrong, they ask again with the same Idempotency-Key until
/// they have an answer. What was acknowledged to them is what must be there in the end.
/// </summary>
internal sealed class Writers : IAsyncDisposable
{
    private readonly CancellationTokenSource stopping = new();
    private readonly HttpClient client;
    private readonly Func<Uri> address;
    private readonly int[] refused;
    private readonly Task[] all;

    /// <param name="address">Where the server is now.</param>
    /// <param name="patience">How long an answer is waited for; after that the outcome is unknown, and the same is asked again.</param>
    public Writers(int count, string accessToken, Func<Uri> address, TimeSpan? patience = null)
    {
        this.address = address;
        client = new HttpClient { Timeout = patience ?? TimeSpan.FromSeconds(40), DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", accessToken) } };
        refused = new int[count];
        all = [.. Enumerable.Range(0, count).Select(i => Task.Run(() => Write(i)))];
    }

    /// <summary>Name and id of what the server said it has.</summary>
    public ConcurrentDictionary<string, string> Acknowledged { get; } = new();

    /// <summary>Answers that were neither a success nor an honest «not now», and successes that contradict each other.</summary>
    public ConcurrentQueue<string> Wrong { get; } = new();

    /// <summary>How often each code was heard on the way.</summary>
    public ConcurrentDictionary<string, int> Heard { get; } = new();

    public TimeSpan Longest { get; private set; }

    /// <summary>Lets everybody finish what was begun.</summary>
    public async Task Finish()
    {
        await stopping.CancelAsync();
        await Task.WhenAll(all).WaitAsync(TimeSpan.FromSeconds(60));
    }

    /// <summary>Waits until this many more have been acknowledged.</summary>
    public async Task More(int count)
    {
        var wanted = Acknowledged.Count + count;
        await Burst.Until($"{count} more are acknowledged; heard {string.Join(", ", Heard)}", TimeSpan.FromSeconds(30), () => Task.FromResult(Acknowledged.Count >= wanted));
    }

    /// <summary>Waits until each of them has heard from here on that it is not done: whatever it was told before it has also taken down.</summary>
    public async Task AllAreRefused()
    {
        var before = Enumerable.Range(0, refused.Length).Select(i => Volatile.Read(ref refused[i])).ToArray();
        await Burst.Until($"everybody is refused; heard {string.Join(", ", Heard)}", TimeSpan.FromSeconds(30), () =>
            Task.FromResult(Enumerable.Range(0, refused.Length).All(i => Volatile.Read(ref refused[i]) > before[i])));
    }

    /// <summary>Everything acknowledged is there once, in the log and in the list, and nothing else is.</summary>
    public async Task EverythingIsThereOnce(TestDatabase database, TestTenant tenant, HttpClient reader)
    {
        Assert.Empty(Wrong);
        var logged = await database.Scalar<string[]>(
            $"select coalesce(array_agg(substr(stream_id, 8) order by stream_id), '{{}}') from events.mt_events where tenant_id = '{tenant.Id}' and type = 'device_registered'");
        Assert.Equal(Acknowledged.Values.Order(StringComparer.Ordinal), logged);
        await Burst.Until("the list shows all", TimeSpan.FromSeconds(10), async () => (await Listed(reader)).Count >= logged.Length);
        Assert.Equal(logged, (await Listed(reader)).Order(StringComparer.Ordinal));
    }

    public async ValueTask DisposeAsync()
    {
        await Finish();
        client.Dispose();
        stopping.Dispose();
    }

    private static async Task<List<string>> Listed(HttpClient reader)
    {
        var ids = new List<string>();
        for (var next = ""; ;)
        {
            var page = await Reply.To(reader, "GET", "/api/devices?limit=200" + next);
            Assert.True(page.Status == 200, page.Body);
            ids.AddRange(page.Json.GetProperty("items").EnumerateArray().Select(d => d.GetProperty("id").GetString()!));
            if (page.Json.GetProperty("next").GetString() is not { } cursor) return ids;
            next = "&cursor=" + Uri.EscapeDataString(cursor);
        }
    }

    private async Task Write(int writer)
    {
        for (var number = 0; !stopping.IsCancellationRequested; number++)
        {
            var name = $"device {writer}-{number}";
            var deadline = TimeProvider.System.GetUtcNow().AddSeconds(60);
            while (!await Attempt(name))
            {
                Interlocked.Increment(ref refused[writer]);
                if (TimeProvider.System.GetUtcNow() > deadline)
                {
                    Wrong.Enqueue($"{name}: no answer in a minute");
                    return;
                }
                await Task.Delay(20);
            }
        }
    }

    /// <summary>True when the server has said that it is done.</summary>
    private async Task<bool> Attempt(string name)
    {
        var started = TimeProvider.System.GetTimestamp();
        try
        {
            var reply = await Reply.To(client, "POST", new Uri(address(), "/api/devices").ToString(), new { name, type = "web" }, key: name.Replace(' ', '-'));
            if (reply.Status == 201)
            {
                Acknowledged[name] = reply.Text("id");
                return true;
            }
            Heard.AddOrUpdate(reply.Code!, 1, (_, n) => n + 1);
            if (reply is not { Status: 503, RetryAfter: not null }) Wrong.Enqueue($"{name}: {reply}");
            return false;
        }
        catch (Exception none) when (none is HttpRequestException or TaskCanceledException or IOException)
        {
            Heard.AddOrUpdate("no answer", 1, (_, n) => n + 1);
            return false;
        }
        finally
        {
            var took = TimeProvider.System.GetElapsedTime(started);
            if (took > Longest) Longest = took;
        }
    }
}
