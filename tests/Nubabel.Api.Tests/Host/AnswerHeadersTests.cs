using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Nubabel.Api.Host;

namespace Nubabel.Api.Tests.Host;

public sealed class AnswerHeadersTests : IAsyncLifetime
{
    private Probe probe = null!;

    public async Task InitializeAsync() => probe = await Probe.Start(app =>
    {
        app.MapGet("/", (HttpContext context) => context.TraceIdentifier);
        app.MapGet("/fault", string () => throw new InvalidOperationException());
        app.MapGet("/version", (HttpContext context) => { context.Response.Headers.ETag = "\"1\""; return "ok"; });
    });

    public async Task DisposeAsync() => await probe.DisposeAsync();

    private async Task<HttpResponseMessage> Get(string path, string? id)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (id is not null) request.Headers.TryAddWithoutValidation("X-Request-ID", id);
        return await probe.Http.SendAsync(request);
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/fault")]
    [InlineData("/nowhere")]
    public async Task The_callers_request_id_comes_back(string path) =>
        Assert.Equal("my-id/1!~", (await Get(path, "my-id/1!~")).Headers.GetValues("X-Request-ID").Single());

    [Fact]
    public async Task Without_one_a_uuid_of_version_7_is_made()
    {
        var answer = await Get("/", null);
        var id = answer.Headers.GetValues("X-Request-ID").Single();
        Assert.Equal(7, Guid.ParseExact(id, "D").Version);
        Assert.Equal(id, await answer.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("two words")]
    [InlineData("")]
    [InlineData(129)]
    public async Task A_bad_one_is_replaced(object bad)
    {
        var text = bad is int length ? new string('x', length) : (string)bad;
        var id = (await Get("/", text)).Headers.GetValues("X-Request-ID").Single();
        Assert.Equal(7, Guid.ParseExact(id, "D").Version);
    }

    [Fact]
    public void The_longest_is_128_characters_and_two_are_none()
    {
        Assert.NotNull(RequestIds.Take(new string('x', 128)));
        Assert.Null(RequestIds.Take(new string('x', 129)));
        Assert.Null(RequestIds.Take(new(["a", "b"])));
        Assert.Null(RequestIds.Take("a\tb"));
        Assert.Null(RequestIds.Take("naïve"));
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/fault")]
    [InlineData("/nowhere")]
    public async Task A_browser_may_only_read_it(string path)
    {
        var headers = (await Get(path, null)).Headers;
        Assert.Equal("nosniff", headers.GetValues("X-Content-Type-Options").Single());
        Assert.Equal("DENY", headers.GetValues("X-Frame-Options").Single());
        Assert.Equal("no-referrer", headers.GetValues("Referrer-Policy").Single());
        Assert.Contains("default-src 'none'", headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        Assert.True(headers.CacheControl!.NoStore);
        Assert.False(headers.Contains("Server"));
    }

    [Fact]
    public async Task What_has_a_version_may_be_asked_about_again()
    {
        var headers = (await Get("/version", null)).Headers;
        Assert.True(headers.CacheControl is { NoStore: false, NoCache: true, Private: true });
    }

    [Theory]
    [InlineData(null, "Development", true)]
    [InlineData("(own)", "Production", true)]
    [InlineData("http://localhost:3000", "Development", true)]
    [InlineData("http://localhost:3000", "Production", false)]
    [InlineData("https://localhost:3000", "Development", false)]
    [InlineData("http://localhost.evil.example", "Development", false)]
    [InlineData("http://user@localhost:3000", "Development", false)]
    [InlineData("https://app.example.com", "Production", true)]
    [InlineData("https://app.example.com.evil.example", "Production", false)]
    [InlineData("http://app.example.com", "Production", false)]
    [InlineData("null", "Development", false)]
    public async Task A_web_origin_passes_or_is_refused_with_403(string? origin, string environment, bool passes)
    {
        await using var own = await Probe.Start(app => app.MapPost("/", () => "ok"), environment, with: s => s with { CorsOrigins = ["https://app.example.com"] });
        if (origin == "(own)") origin = own.Address.GetLeftPart(UriPartial.Authority);
        foreach (var preflight in new[] { false, true })
        {
            using var request = new HttpRequestMessage(preflight ? HttpMethod.Options : HttpMethod.Post, "/");
            if (origin is not null) request.Headers.Add("Origin", origin);
            if (preflight) request.Headers.Add("Access-Control-Request-Method", "POST");
            if (preflight && origin is null) continue;
            var answer = await own.Http.SendAsync(request);
            if (!passes)
            {
                await answer.IsProblem(403, "cors.origin_refused");
                Assert.False(answer.Headers.Contains("Access-Control-Allow-Origin"));
                continue;
            }
            Assert.Equal(preflight ? 204 : 200, (int)answer.StatusCode);
            if (origin is null) continue;
            Assert.Equal(origin, answer.Headers.GetValues("Access-Control-Allow-Origin").Single());
            Assert.Contains("Nubabel-Position", answer.Headers.GetValues("Access-Control-Expose-Headers").Single(), StringComparison.Ordinal);
            Assert.Equal("Origin", answer.Headers.Vary.Single());
        }
    }

    [Fact]
    public async Task A_page_that_may_call_can_also_read_a_problem()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/nowhere");
        request.Headers.Add("Origin", "http://localhost:3000");
        var answer = await probe.Http.SendAsync(request);
        await answer.IsProblem(404, "route.unknown");
        Assert.Equal("http://localhost:3000", answer.Headers.GetValues("Access-Control-Allow-Origin").Single());
    }

    [Theory]
    [InlineData("127.0.0.0/8", "203.0.113.9 https")]
    [InlineData("10.0.0.0/8", "127.0.0.1 http")]
    [InlineData(null, "127.0.0.1 http")]
    public async Task A_forwarded_address_is_believed_only_from_a_trusted_network(string? network, string seen)
    {
        await using var behind = await Probe.Start(app => app.MapGet("/", (HttpContext c) => $"{c.Connection.RemoteIpAddress} {c.Request.Scheme}"),
            with: s => s with { TrustedNetworks = network is null ? [] : [System.Net.IPNetwork.Parse(network)] });
        using var request = new HttpRequestMessage(HttpMethod.Get, "/");
        request.Headers.Add("X-Forwarded-For", "203.0.113.9");
        request.Headers.Add("X-Forwarded-Proto", "https");
        Assert.Equal(seen, await (await behind.Http.SendAsync(request)).Content.ReadAsStringAsync());
    }
}
