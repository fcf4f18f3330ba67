using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Nubabel.Api.Host;

namespace Nubabel.Api.Tests.Host;

public sealed class BoundsTests
{
    [Fact]
    public async Task A_long_url_is_414()
    {
        await using var probe = await Probe.Start(app => app.MapGet("/", () => "ok"));
        Assert.Equal("ok", await probe.Http.GetStringAsync("/"));
        await (await probe.Http.GetAsync("/?" + new string('x', 9000))).IsProblem(414, "request.url_too_long");
    }

    [Fact]
    public async Task Large_headers_are_431()
    {
        await using var probe = await Probe.Start(app => app.MapGet("/", () => "ok"));
        using var request = new HttpRequestMessage(HttpMethod.Get, "/");
        for (var i = 0; i < 20; i++) request.Headers.Add("X-Filler-" + i, new string('x', 1000));
        await (await probe.Http.SendAsync(request)).IsProblem(431, "request.headers_too_large");
    }

    [Theory]
    [InlineData("GET /{0} HTTP/1.1\r\nHost: x\r\n\r\n", 100_000, 414, "request.url_too_long")]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\nX-Filler: {0}\r\n\r\n", 200_000, 431, "request.headers_too_large")]
    [InlineData("NONSENSE{0}\r\n\r\n", 1, 400, "request.malformed")]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\nX: {0}\r\n\r\n", 1, 400, "request.malformed")]
    [InlineData("GET /%00{0} HTTP/1.1\r\nHost: x\r\n\r\n", 1, 400, "request.malformed")]
    [InlineData("DELETE /a%00/{0} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 1, 400, "request.malformed")]
    [InlineData("GET nowhere{0} HTTP/1.1\r\nHost: x\r\n\r\n", 1, 405, "route.method_not_allowed")]
    public async Task What_the_server_refuses_below_us_is_a_problem_that_shows_nothing(string request, int filler, int status, string code)
    {
        await using var probe = await Probe.Start(app => app.MapGet("/", () => "ok"));
        var answer = await probe.Raw(string.Format(System.Globalization.CultureInfo.InvariantCulture, request, new string('x', filler)));
        Assert.DoesNotContain("Kestrel", answer, StringComparison.Ordinal);
        Assert.DoesNotContain(" at ", answer, StringComparison.Ordinal);
        // A connection may also be reset while the rest of a hopeless request is still on its way.
        if (answer.Length == 0 && filler > 1) return;
        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
        var (head, body) = answer.Split("\r\n\r\n") is [var above, var below] ? (above, below) : ("", answer);
        Assert.Contains("Content-Type: application/problem+json", head, StringComparison.Ordinal);
        var problem = System.Text.Json.Nodes.JsonNode.Parse(body)!.AsObject();
        Assert.Equal((status, code, "https://nubabel.dev/problems/" + code), ((int)problem["status"]!, (string?)problem["code"], (string?)problem["type"]));
        Assert.Contains($"X-Request-ID: {problem["requestId"]}", head, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_over_its_time_is_504_and_a_stream_is_not()
    {
        await using var probe = await Probe.Start(app =>
        {
            app.MapGet("/slow", (CancellationToken ct) => Task.Delay(Timeout.Infinite, ct));
            app.MapGet("/stream", async (HttpContext context) =>
            {
                await Task.Delay(TimeSpan.FromSeconds(1.5), context.RequestAborted);
                return "streamed";
            }).DisableRequestTimeout();
        }, limits: new Limits { RequestSeconds = 1 });
        var stream = probe.Http.GetStringAsync("/stream");
        await (await probe.Http.GetAsync("/slow")).IsProblem(504, "request.timeout");
        Assert.Equal("streamed", await stream);
    }

    [Fact]
    public async Task A_client_that_goes_away_is_no_fault()
    {
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var ended = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var probe = await Probe.Start(app => app.MapGet("/", async (HttpContext context) =>
        {
            context.Response.OnCompleted(() =>
            {
                ended.TrySetResult(context.Response.StatusCode == Problems.ClientClosedRequest);
                return Task.CompletedTask;
            });
            begun.SetResult();
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        }));
        using var leave = new CancellationTokenSource();
        var asked = probe.Http.GetAsync("/", leave.Token);
        // A request that was given up before it came in would have nothing to end.
        await begun.Task.WaitAsync(TimeSpan.FromSeconds(10));
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked);
        Assert.True(await ended.Task.WaitAsync(TimeSpan.FromSeconds(10)));
    }
}
