using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Npgsql;
using Nubabel.Api.Host;
using Nubabel.Domain;

namespace Nubabel.Api.Tests.Host;

public sealed class ProblemsTests
{
    [Fact]
    public async Task An_unknown_path_is_a_problem()
    {
        await using var probe = await Probe.Start(_ => { });
        await (await probe.Http.GetAsync("/nowhere")).IsProblem(404, "route.unknown");
    }

    [Theory]
    [InlineData("DELETE")]
    [InlineData("TRACE")] // would show a caller the headers that a proxy adds
    [InlineData("OPTIONS")]
    [InlineData("PROPFIND")]
    public async Task A_wrong_method_is_a_problem_that_names_the_right_ones(string method)
    {
        await using var probe = await Probe.Start(app => app.MapGet("/thing", () => "ok"));
        using var request = new HttpRequestMessage(new HttpMethod(method), "/thing");
        var answer = await probe.Http.SendAsync(request);
        await answer.IsProblem(405, "route.method_not_allowed");
        Assert.Equal(["GET"], answer.Content.Headers.Allow);
    }

    [Fact]
    public async Task A_bare_status_of_an_endpoint_gets_its_body()
    {
        await using var probe = await Probe.Start(app => app.MapGet("/bare/{status:int}", (int status) => Results.StatusCode(status)));
        foreach (var (status, code) in new[] { (404, "resource.missing"), (406, "request.not_acceptable"), (412, "resource.version_mismatch"), (503, "service.unavailable") })
            await (await probe.Http.GetAsync($"/bare/{status}")).IsProblem(status, code);
    }

    [Theory]
    [InlineData(RefusalKind.Invalid, 422)]
    [InlineData(RefusalKind.Missing, 404)]
    [InlineData(RefusalKind.Conflict, 409)]
    [InlineData(RefusalKind.Denied, 403)]
    public async Task A_refusal_of_a_decision_becomes_its_status(RefusalKind kind, int status)
    {
        await using var probe = await Probe.Start(app => app.MapGet("/", string () => throw new Refused(kind, "device.name_taken", "Taken.", "name")));
        var problem = await (await probe.Http.GetAsync("/")).IsProblem(status, "device.name_taken");
        Assert.Equal([("name", "device.name_taken")], problem.Errors());
        Assert.Equal("Taken.", (string?)problem["detail"]);
    }

    [Fact]
    public async Task A_problem_carries_its_headers_and_members()
    {
        await using var probe = await Probe.Start(app => app.MapGet("/", string () => throw new Problem("projection.lagging", "Not yet.")
        {
            Headers = new Dictionary<string, string> { ["Retry-After"] = "1" },
            Members = new Dictionary<string, object?> { ["have"] = "main-01", ["want"] = "main-02" },
        }));
        var answer = await probe.Http.GetAsync("/");
        var problem = await answer.IsProblem(503, "projection.lagging");
        Assert.Equal("main-01", (string?)problem["have"]);
        Assert.Equal("main-02", (string?)problem["want"]);
        Assert.Equal(TimeSpan.FromSeconds(1), answer.Headers.RetryAfter!.Delta);
    }

    [Fact]
    public async Task A_fault_of_ours_shows_its_request_id_and_nothing_else()
    {
        await using var probe = await Probe.Start(app => app.MapGet("/", string () => throw new InvalidOperationException("secret /etc/passwd select 1")));
        var problem = await (await probe.Http.GetAsync("/")).IsProblem(500, "internal.error");
        Assert.Equal(["type", "title", "status", "code", "requestId"], problem.Select(m => m.Key));
    }

    [Fact]
    public async Task A_database_that_is_away_is_503_and_says_when_to_come_back()
    {
        Exception[] away =
        [
            new NpgsqlException("secret host", new SocketException((int)SocketError.ConnectionRefused)),
            new NpgsqlException("secret", new IOException()),
            new NpgsqlException("The connection pool has been exhausted", new TimeoutException()),
            new PostgresException("secret", "FATAL", "FATAL", "57P01"),
            new PostgresException("secret", "FATAL", "FATAL", "57P03"),
            new PostgresException("secret", "FATAL", "FATAL", "53300"),
        ];
        await using var probe = await Probe.Start(app => app.MapGet("/{n:int}", string (int n) => throw away[n]));
        for (var n = 0; n < away.Length; n++)
        {
            var answer = await probe.Http.GetAsync($"/{n}");
            await answer.IsProblem(503, "database.unavailable");
            Assert.NotNull(answer.Headers.RetryAfter);
            Assert.DoesNotContain("secret", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_fault_of_a_statement_is_ours_and_not_the_databases_absence()
    {
        await using var probe = await Probe.Start(app => app.MapGet("/", string () => throw new PostgresException("secret", "ERROR", "ERROR", "42P01")));
        await (await probe.Http.GetAsync("/")).IsProblem(500, "internal.error");
    }

    [Fact]
    public async Task A_parameter_that_cannot_be_read_is_named_and_no_type_is()
    {
        await using var probe = await Probe.Start(app => app.MapGet("/", (int size) => size), "Production");
        foreach (var query in new[] { "?size=many", "" })
        {
            var answer = await probe.Http.GetAsync("/" + query);
            var problem = await answer.IsProblem(400, "query.invalid");
            Assert.Equal([("size", "query.invalid")], problem.Errors());
            Assert.DoesNotContain("int", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task An_answer_that_has_begun_ends_in_a_broken_connection_and_not_as_a_whole()
    {
        await using var probe = await Probe.Start(app => app.MapGet("/", async (HttpContext context) =>
        {
            await context.Response.WriteAsync("half");
            await context.Response.Body.FlushAsync();
            throw new InvalidOperationException();
        }));
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => probe.Http.GetStringAsync("/"));
    }

    [Fact]
    public async Task A_head_request_gets_the_headers_of_the_problem_alone()
    {
        await using var probe = await Probe.Start(_ => { });
        var answer = await probe.Http.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/nowhere"));
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
    }
}
