using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Nubabel.Api.Host;

namespace Nubabel.Api.Tests.Host;

/// <summary>The edge on real Kestrel with endpoints of the test's own: no database, no credentials.</summary>
internal sealed class Probe : IAsyncDisposable
{
    private readonly WebApplication app;

    private Probe(WebApplication app, HttpClient http)
    {
        this.app = app;
        Http = http;
    }

    public HttpClient Http { get; }
    public Uri Address => Http.BaseAddress!;

    public static async Task<Probe> Start(Action<WebApplication> map, string environment = "Development", Limits? limits = null, Func<Settings, Settings>? with = null,
        Action<WebApplicationBuilder>? build = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { EnvironmentName = environment });
        builder.WebHost.UseKestrelCore();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
        builder.Services.AddRoutingCore();
        build?.Invoke(builder);
        var settings = Settings.Read(new ConfigurationBuilder().Build(), "Development").Settings! with { Limits = limits ?? new Limits(), IsDevelopment = environment == "Development" };
        builder.AddEdge(with?.Invoke(settings) ?? settings);
        var app = builder.Build();
        app.UseEdge();
        map(app);
        await app.StartAsync();
        return new Probe(app, new HttpClient { BaseAddress = new Uri(app.Urls.Single()) });
    }

    /// <summary>Sends bytes as they are and reads until the server closes.</summary>
    public async Task<string> Raw(string request)
    {
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(IPAddress.Loopback, Address.Port);
        await using var stream = tcp.GetStream();
        await stream.WriteAsync(Encoding.Latin1.GetBytes(request));
        using var all = new MemoryStream();
        using var bound = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        try
        {
            await stream.CopyToAsync(all, bound.Token);
        }
        catch (IOException)
        {
            // A server that refuses what is still being sent resets the connection after its answer.
        }
        return Encoding.Latin1.GetString(all.ToArray());
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await app.DisposeAsync();
    }
}

internal static class Answers
{
    public static StringContent AsJson(this string json) => new(json, Encoding.UTF8, "application/json");

    public static async Task<JsonObject> Json(this HttpResponseMessage answer) => JsonNode.Parse(await answer.Content.ReadAsStringAsync())!.AsObject();

    /// <summary>The answer is a whole problem of this status and code.</summary>
    public static async Task<JsonObject> IsProblem(this HttpResponseMessage answer, int status, string code)
    {
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True((int)answer.StatusCode == status, $"{(int)answer.StatusCode}: {text}");
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        var problem = JsonNode.Parse(text)!.AsObject();
        Assert.True(code == (string?)problem["code"], text);
        Assert.Equal("https://nubabel.dev/problems/" + code, (string?)problem["type"]);
        Assert.Equal(status, (int?)problem["status"]);
        Assert.False(string.IsNullOrEmpty((string?)problem["title"]));
        Assert.Equal(answer.Headers.GetValues("X-Request-ID").Single(), (string?)problem["requestId"]);
        return problem;
    }

    public static IEnumerable<(string Field, string Code)> Errors(this JsonObject problem) =>
        problem["errors"]!.AsArray().Select(e => ((string)e!["field"]!, (string)e["code"]!));
}
