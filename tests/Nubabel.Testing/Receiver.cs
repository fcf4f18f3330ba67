using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Nubabel.Testing;

/// <summary>A call as an endpoint got it.</summary>
public sealed record Received(string Id, string Timestamp, string Signature, string ContentType, string Text)
{
    public JsonElement Json => JsonElement.Parse(Text);
    public string Type => Json.GetProperty("type").GetString()!;
    public string Subject => Json.GetProperty("subject").GetString()!;

    /// <summary>Whether one of its signatures was made with this secret, counted anew here.</summary>
    public bool IsSignedWith(string secret) => Signature.Split(' ').Contains("v1," + Convert.ToBase64String(
        HMACSHA256.HashData(Convert.FromBase64String(secret["whsec_".Length..]), Encoding.UTF8.GetBytes($"{Id}.{Timestamp}.{Text}"))));
}

/// <summary>The other end of a consumer: an HTTP server on this machine that remembers what it got and answers as it is told.</summary>
public sealed class Receiver : IAsyncDisposable
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(20);
    private readonly WebApplication app;
    private readonly ConcurrentQueue<Received> calls = new();
    private readonly SemaphoreSlim came = new(0);

    private Receiver(WebApplication app) => this.app = app;

    public string Url => app.Urls.First() + "/hook";

    /// <summary>All calls so far, in the order in which they came.</summary>
    public IReadOnlyList<Received> Calls => [.. calls];

    /// <summary>What it answers; by default 204 at once.</summary>
    public Func<HttpContext, Received, Task> Answer { get; set; } = (http, _) =>
    {
        http.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    };

    /// <summary>Answers with this status from now on.</summary>
    public void Say(int status, Action<HttpContext>? more = null) => Answer = (http, _) =>
    {
        http.Response.StatusCode = status;
        more?.Invoke(http);
        return Task.CompletedTask;
    };

    public static async Task<Receiver> Start(Action<ListenOptions>? listen = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0, options => listen?.Invoke(options)));
        var app = builder.Build();
        var receiver = new Receiver(app);
        app.Run(receiver.Take);
        await app.StartAsync();
        return receiver;
    }

    /// <summary>Waits for the next call that nobody has waited for.</summary>
    public async Task<Received> Next()
    {
        if (!await came.WaitAsync(Longest)) throw new TimeoutException($"Nothing came in {Longest.TotalSeconds} s.");
        return Calls[taken++];
    }

    private int taken;

    /// <summary>Waits until so many calls have come, all together.</summary>
    public async Task<IReadOnlyList<Received>> Have(int count)
    {
        while (taken < count) await Next();
        return Calls;
    }

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        came.Dispose();
    }

    private async Task Take(HttpContext http)
    {
        using var reader = new StreamReader(http.Request.Body);
        var headers = http.Request.Headers;
        var call = new Received(
            headers["webhook-id"].ToString(), headers["webhook-timestamp"].ToString(), headers["webhook-signature"].ToString(), http.Request.ContentType ?? "", await reader.ReadToEndAsync());
        calls.Enqueue(call);
        came.Release();
        await Answer(http, call);
    }
}
