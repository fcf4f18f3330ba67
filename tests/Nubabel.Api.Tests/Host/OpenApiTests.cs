using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Devices;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Devices;
using Nubabel.Projections.Devices;

namespace Nubabel.Api.Tests.Host;

public sealed class OpenApiTests : IAsyncLifetime
{
    private Probe probe = null!;
    private JsonObject document = null!;

    public async Task InitializeAsync()
    {
        probe = await Probe.Start(app =>
        {
            app.UseStrictRoutes();
            app.MapDocument();
            app.MapGet("/api/things", List).Needs("devices:read").Paged<DeviceRow>();
            app.MapPost("/api/things", Add).Needs("devices:write").Answers201<DeviceRow>().WithExample("""{"name":"phone","type":"mobile"}""", """{"name":"phone"}""");
            app.MapGet("/api/things/{id}", One).Needs("devices:read").Answers200<DeviceRow>();
            app.MapDelete("/api/things/{id}", (Id<Device> id) => Results.NoContent()).Needs("devices:write").Answers204();
            app.MapPost("/open", (Body<DeviceRenaming>? body) => "ok").Anonymous();
        }, build: b => b.Services.AddSingleton(new Cursors(new byte[32])));
        document = await (await probe.Http.GetAsync("/openapi/v1.json")).Json();
    }

    public async Task DisposeAsync() => await probe.DisposeAsync();

    private static IResult List(Paging page, DeviceType? type) => Results.Ok(page.Limit + " " + type);
    private static IResult Add(Body<DeviceRegistration> body) => Results.Ok(body.Value.Name.Value);
    private static IResult One(Id<Device> id) => Results.Ok(id.ToString());

    private JsonNode Operation(string path, string method) => document["paths"]![path]![method]!;

    private JsonNode Schema(JsonNode node) => node["$ref"] is { } reference ? document["components"]!["schemas"]![((string)reference!).Split('/')[^1]]! : node;

    private IEnumerable<string> Parameters(string path, string method) => Operation(path, method)["parameters"]!.AsArray()
        .Select(p => p!["$ref"] is { } reference ? ((string)reference!).Split('/')[^1] : (string)p["name"]!);

    [Fact]
    public void It_is_openapi_3_1_and_the_same_on_every_machine()
    {
        Assert.StartsWith("3.1", (string)document["openapi"]!, StringComparison.Ordinal);
        Assert.Equal("/", (string)document["servers"]![0]!["url"]!);
        Assert.DoesNotContain("127.0.0.1", document.ToJsonString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_reference_resolves()
    {
        var references = System.Text.RegularExpressions.Regex.Matches(document.ToJsonString(), "\"\\$ref\":\"#/([^\"]+)\"").Select(m => m.Groups[1].Value).Distinct().ToArray();
        Assert.NotEmpty(references);
        Assert.All(references, r => Assert.NotNull(r.Split('/').Aggregate((JsonNode?)document, (node, step) => node?[step])));
    }

    [Fact]
    public void A_body_is_described_by_the_values_it_takes()
    {
        var body = Operation("/api/things", "post")["requestBody"]!;
        Assert.True((bool)body["required"]!);
        var schema = Schema(body["content"]!["application/json"]!["schema"]!);
        Assert.Equal(["name", "type"], schema["required"]!.AsArray().Select(r => (string)r!).Order());
        var name = Schema(schema["properties"]!["name"]!);
        Assert.Equal("string", (string)name["type"]!);
        Assert.Equal(50, (int)name["maxLength"]!);
        Assert.Equal(["mobile", "desktop", "web"], Schema(schema["properties"]!["type"]!)["enum"]!.AsArray().Select(e => (string)e!));
        Assert.Equal("phone", (string)body["content"]!["application/json"]!["example"]!["name"]!);
        Assert.NotEqual(true, (bool?)Operation("/open", "post")["requestBody"]!["required"]);
    }

    [Fact]
    public void A_page_has_items_next_limit_and_cursor()
    {
        var schema = Schema(Operation("/api/things", "get")["responses"]!["200"]!["content"]!["application/json"]!["schema"]!);
        Assert.Equal(["items", "next"], schema["properties"]!.AsObject().Select(p => p.Key));
        var row = Schema(schema["properties"]!["items"]!["items"]!);
        Assert.Equal("uuid", (string)Schema(row["properties"]!["id"]!)["format"]!);
        Assert.Equal("date-time", (string)Schema(row["properties"]!["registeredAt"]!)["format"]!);
        Assert.Equal(["type", "limit", "cursor", "Nubabel-Min-Position", "Nubabel-Purpose", "X-Request-ID"], Parameters("/api/things", "get"));
        var type = Operation("/api/things", "get")["parameters"]!.AsArray().First(p => (string?)p!["name"] == "type")!;
        Assert.Equal("mobile", (string)type["schema"]!["enum"]![0]!);
    }

    [Fact]
    public void An_id_in_a_path_is_a_uuid()
    {
        var id = Operation("/api/things/{id}", "get")["parameters"]!.AsArray().First(p => (string?)p!["name"] == "id")!;
        Assert.Equal("uuid", (string)id["schema"]!["format"]!);
        Assert.Contains("If-None-Match", Parameters("/api/things/{id}", "get"));
        Assert.Equal(["id", "Idempotency-Key", "If-Match", "X-Request-ID"], Parameters("/api/things/{id}", "delete"));
    }

    [Fact]
    public void Problems_headers_and_security_are_said_once_and_referred_to()
    {
        var add = Operation("/api/things", "post");
        foreach (var status in new[] { "400", "401", "403", "409", "413", "415", "422", "429", "default" })
            Assert.Equal("#/components/responses/Problem", (string)add["responses"]![status]!["$ref"]!);
        Assert.NotNull(document["components"]!["responses"]!["Problem"]!["content"]!["application/problem+json"]);
        Assert.Equal(["X-Request-ID", "ETag", "Location", "Nubabel-Position", "RateLimit", "RateLimit-Policy"], add["responses"]!["201"]!["headers"]!.AsObject().Select(h => h.Key));
        Assert.NotNull(add["security"]![0]!["bearer"]);
        Assert.Contains("devices:write", (string)add["description"]!, StringComparison.Ordinal);
        Assert.Empty(Operation("/open", "post")["security"]?.AsArray() ?? []);
        // What is posted without a credential carries one in its body: a password, a token.
        Assert.NotNull(Operation("/open", "post")["responses"]!["401"]);
    }

    [Fact]
    public void Operations_are_named_for_their_handlers_and_no_name_is_taken_twice()
    {
        Assert.Equal("openApiTestsOne", (string)Operation("/api/things/{id}", "get")["operationId"]!);
        var ids = document["paths"]!.AsObject().SelectMany(p => p.Value!.AsObject()).Select(o => (string?)o.Value!["operationId"]).ToArray();
        Assert.All(ids, Assert.NotNull);
        Assert.Equal(ids.Length, ids.Distinct().Count());
    }

    [Fact]
    public async Task The_page_runs_on_its_own_scripts_alone()
    {
        var page = await probe.Http.GetAsync("/docs");
        var html = await page.Content.ReadAsStringAsync();
        Assert.Equal(200, (int)page.StatusCode);
        Assert.Contains("swagger-ui", html, StringComparison.Ordinal);
        Assert.Contains("script-src 'self'", page.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        Assert.DoesNotMatch("<script(?![^>]*src=)", html);
        Assert.DoesNotContain("http://", html, StringComparison.Ordinal);
        Assert.DoesNotContain("https://", html, StringComparison.Ordinal);
        foreach (System.Text.RegularExpressions.Match asset in System.Text.RegularExpressions.Regex.Matches(html, "(?:src|href)=\"([^\"]+)\""))
            Assert.Equal(200, (int)(await probe.Http.GetAsync("/docs/" + asset.Groups[1].Value)).StatusCode);
        Assert.Contains("/openapi/v1.json", await probe.Http.GetStringAsync("/docs/index.js"), StringComparison.Ordinal);
        await (await probe.Http.GetAsync("/docs/nothing")).IsProblem(404, "route.unknown");
    }
}
