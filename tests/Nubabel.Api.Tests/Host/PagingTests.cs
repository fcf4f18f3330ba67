using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Devices;
using Nubabel.Projections;

namespace Nubabel.Api.Tests.Host;

public sealed class PagingTests : IAsyncLifetime
{
    private static readonly Cursors Made = new(Enumerable.Repeat((byte)7, 32).ToArray());
    private Probe probe = null!;

    public async Task InitializeAsync() => probe = await Probe.Start(app =>
    {
        app.UseStrictRoutes();
        app.MapGet("/numbers", (Paging page, int? above) => page.Answer(Numbers(page, above ?? 0)));
        app.MapGet("/others", (Paging page) => page.Answer(Numbers(page, 0)));
        app.MapGet("/things/{id}", (Id<Device> id) => id.ToString());
        app.MapGet("/plain", (string? name, string[]? tag) => $"{name} {tag?.Length}");
        app.MapGet("/sized/{size}", (int size) => size);
        app.MapGet("/byhand", (HttpContext context) => context.Request.Query["keys"].ToString()).WithQuery("keys");
    }, build: b => b.Services.AddSingleton(Made));

    public async Task DisposeAsync() => await probe.DisposeAsync();

    /// <summary>The numbers from 1 to 120 as a read model would page them.</summary>
    private static Page Numbers(Paging page, int above)
    {
        var after = page.After is [var last] ? int.Parse(last, System.Globalization.CultureInfo.InvariantCulture) : above;
        var rows = Enumerable.Range(1, 120).Where(n => n > after).Take(page.Limit + 1).ToArray();
        return Page.Cut(rows, page.Limit, n => Encoding.UTF8.GetBytes($"{{\"n\":{n}}}"), n => [n.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
    }

    [Fact]
    public async Task Pages_follow_each_other_to_the_end()
    {
        var path = "/numbers?above=10&limit=50";
        var seen = new List<int>();
        while (path is not null)
        {
            var answer = await probe.Http.GetAsync(path);
            var page = await answer.Json();
            Assert.Equal(["items", "next"], page.Select(m => m.Key));
            seen.AddRange(page["items"]!.AsArray().Select(i => (int)i!["n"]!));
            path = answer.Headers.TryGetValues("Link", out var link) ? link.Single().Split('<', '>')[1] : null;
            Assert.Equal(path is null, page["next"] is null);
            if (path is not null) Assert.Contains("rel=\"next\"", answer.Headers.GetValues("Link").Single(), StringComparison.Ordinal);
        }
        Assert.Equal(Enumerable.Range(11, 110), seen);
    }

    [Fact]
    public async Task Fifty_are_usual_and_two_hundred_the_most()
    {
        Assert.Equal(50, (await (await probe.Http.GetAsync("/numbers")).Json())["items"]!.AsArray().Count);
        Assert.Equal(120, (await (await probe.Http.GetAsync("/numbers?limit=200")).Json())["items"]!.AsArray().Count);
        foreach (var limit in new[] { "0", "201", "-1", "x", "", "1&limit=2" })
        {
            var problem = await (await probe.Http.GetAsync("/numbers?limit=" + limit)).IsProblem(400, limit.Contains('&', StringComparison.Ordinal) ? "query.invalid" : "limit.invalid");
            Assert.Equal("limit", problem.Errors().Single().Field);
        }
    }

    [Fact]
    public async Task A_cursor_continues_its_own_question_and_no_other()
    {
        var next = (string)(await (await probe.Http.GetAsync("/numbers?above=10")).Json())["next"]!;
        Assert.Equal(200, (int)(await probe.Http.GetAsync($"/numbers?above=10&limit=3&cursor={next}")).StatusCode);
        foreach (var other in new[] { $"/numbers?cursor={next}", $"/numbers?above=11&cursor={next}", $"/others?cursor={next}", $"/numbers?above=10&cursor={next}A",
            $"/numbers?above=10&cursor={next[..^1]}", "/numbers?cursor=", "/numbers?cursor=%00", "/numbers?cursor=" + new string('A', 3000) })
            await (await probe.Http.GetAsync(other)).IsProblem(400, "cursor.invalid");
    }

    [Fact]
    public void No_altered_cursor_is_read()
    {
        var cursor = Made.Make("question", ["2026-01-31", "device-1"]);
        Assert.Equal(["2026-01-31", "device-1"], Made.Read("question", cursor));
        Assert.Throws<Problem>(() => new Cursors(new byte[32]).Read("question", cursor));
        var alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ ";
        Prop.ForAll(Gen.Choose(0, cursor.Length - 1).ToArbitrary(), Gen.Elements(alphabet.ToCharArray()).ToArbitrary(), (at, letter) =>
        {
            var altered = cursor[..at] + letter + cursor[(at + 1)..];
            if (altered == cursor) return;
            Assert.Equal("cursor.invalid", Assert.Throws<Problem>(() => Made.Read("question", altered)).Code);
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData("/numbers?abov=1", "abov")]
    [InlineData("/numbers?Above=1", "Above")]
    [InlineData("/things/0199a0d4-0000-7000-8000-000000000000?limit=1", "limit")]
    [InlineData("/plain?name=x&cursor=y", "cursor")]
    [InlineData("/byhand?key=x", "key")]
    public async Task An_unknown_query_parameter_is_400(string path, string field)
    {
        var problem = await (await probe.Http.GetAsync(path)).IsProblem(400, "query.unknown");
        Assert.Equal([(field, "query.unknown")], problem.Errors());
    }

    [Fact]
    public async Task Known_ones_pass_and_only_lists_stand_twice()
    {
        Assert.Equal("x 2", await probe.Http.GetStringAsync("/plain?name=x&tag=a&tag=b"));
        Assert.Equal("a,b", await probe.Http.GetStringAsync("/byhand?keys=a,b"));
        await (await probe.Http.GetAsync("/plain?name=x&name=y")).IsProblem(400, "query.invalid");
        await (await probe.Http.GetAsync("/numbers?above=x")).IsProblem(400, "query.invalid");
    }

    [Theory]
    [InlineData("x")]
    [InlineData("0199A0D4-0000-7000-8000-000000000000")]
    [InlineData("0199a0d4000070008000000000000000")]
    [InlineData("%7B0199a0d4-0000-7000-8000-000000000000%7D")]
    public async Task A_malformed_id_is_the_404_of_an_unknown_one(string id)
    {
        var problem = await (await probe.Http.GetAsync("/things/" + id)).IsProblem(404, "device.missing");
        Assert.Equal("There is no such device.", (string?)problem["detail"]);
        Assert.Equal("0199a0d4-0000-7000-8000-000000000000", await probe.Http.GetStringAsync("/things/0199a0d4-0000-7000-8000-000000000000"));
    }

    [Fact]
    public async Task Another_malformed_part_of_a_path_names_nothing_either() => await (await probe.Http.GetAsync("/sized/x")).IsProblem(404, "resource.missing");
}
