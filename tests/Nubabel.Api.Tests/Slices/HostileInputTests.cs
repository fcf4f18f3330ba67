using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host.Tokens;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Slices;

/// <summary>What somebody has tried once and must not work again.</summary>
public class HostileInputTests
{
    [Fact]
    public async Task Nobody_takes_another_organizations_id_for_a_slug()
    {
        var acme = await (await TestApi.Shared).SignUp();
        foreach (var slug in new[] { acme.Id, acme.Id.Replace("-", "", StringComparison.Ordinal) })
        {
            var body = new { organization = new { name = "Eve", slug }, email = "eve@example.com", password = TestTenant.Password, name = "Eve" };
            await acme.Api.Client.Post("/api/signup", body).Refused(422, "organization.slug_invalid");
        }
    }

    [Theory]
    [InlineData("\\ufffe")]
    [InlineData("\\uffff")]
    [InlineData("\\ufdd0")]
    [InlineData("\\ud83f\\udffe")]
    public async Task What_is_no_character_is_refused_or_wrong_and_never_a_fault(string escape)
    {
        var acme = await (await TestApi.Shared).SignUp();
        await Send(acme.Api.Client, "/api/auth/sign-in", $$"""{"organization":"{{acme.Slug}}","email":"{{acme.Email}}","password":"{{escape}}"}""").Refused(401, "sign_in.failed");
        await Send(acme.Api.Client, "/api/auth/sign-in", $$"""{"organization":"{{escape}}","email":"{{escape}}","password":"x"}""").Refused(401, "sign_in.failed");
        await Send(acme.Api.Client, "/admin/auth/sign-in", $$"""{"email":"a@b.example","password":"{{escape}}"}""").Refused(401, "sign_in.failed");
        await Send(acme.Client, "/api/devices", $$"""{"name":"a{{escape}}","type":"web"}""").Refused(422, "device.name_invalid");
        await Send(acme.Api.Client, "/api/signup", $$"""{"organization":{"name":"a","slug":"no-{{acme.Slug}}"},"email":"a@b.example","password":"long enough but {{escape}}","name":"a"}""")
            .Refused(422, "password.invalid");
    }

    /// <summary>Only the server seals: what a client writes in that form is text, or of the wrong type.</summary>
    [Fact]
    public async Task What_looks_like_a_sealed_value_is_taken_for_what_it_is()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var cipher = await acme.Api.Database.Scalar<string>($"select data->'name'->>'c' from events.mt_events where stream_id = 'user-{acme.User}' and type = 'user_registered'");
        var forged = $$"""{"$p":1,"s":"user-{{acme.User}}","c":"{{cipher}}"}""";
        await Send(acme.Client, "/api/devices", $$"""{"name":{{forged}},"type":"web"}""").Refused(400, "json.wrong_type");
        using (var client = await acme.Api.Operator())
            await Send(client, "/admin/feature-flags", $$"""{"key":"{{acme.Slug}}","enabled":true,"description":{{forged}}}""").Refused(400, "json.wrong_type");
        var text = """{"$p":1,"s":"a","c":"b"}""";
        using var created = await acme.Client.PostAsJsonAsync("/api/devices", new { name = text, type = "web" });
        Assert.Equal(text, Assert.Single(await acme.Client.Items("/api/devices", created.Position())).Text("name"));
    }

    [Theory]
    [InlineData("actor=%00", "actor")]
    [InlineData("object=a%00b", "object")]
    [InlineData("from=12:00", "from")]
    [InlineData("from=1.5", "from")]
    [InlineData("to=11/21/2026", "to")]
    [InlineData("to=2026-11-21T00:00:00", "to")]
    [InlineData("to=2026-11-21%2000:00:00Z", "to")]
    public async Task A_filter_that_cannot_be_meant_is_refused(string query, string field)
    {
        var acme = await (await TestApi.Shared).SignUp();
        var problem = await acme.Client.GetAsync("/api/audit-logs?" + query).Refused(400, "query.invalid");
        Assert.Equal(field, problem.GetProperty("errors")[0].Text("field"));
    }

    [Theory]
    [InlineData("org", "\"*DEFAULT*\"")]
    [InlineData("org", "\"a,b\"")]
    [InlineData("org", "7")]
    [InlineData("sub", "7")]
    [InlineData("sid", "null")]
    [InlineData("role", "[]")]
    public async Task A_signed_token_whose_claims_are_none_of_ours_is_nobodys(string claim, string value)
    {
        var acme = await (await TestApi.Shared).SignUp();
        var claims = System.Text.Json.Nodes.JsonNode.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(acme.AccessToken.Split('.')[1]))!.AsObject();
        claims[claim] = System.Text.Json.Nodes.JsonNode.Parse(value);
        var (kid, key) = await acme.Api.Services.GetRequiredService<SigningKeys>().Signing(CancellationToken.None);
        using var client = acme.Api.As(Jws.Sign(key, kid, JsonSerializer.SerializeToUtf8Bytes(claims)));
        await client.GetAsync("/api/user").Refused(401, "credential.invalid");
    }

    [Fact]
    public async Task Health_says_what_is_wrong_and_not_how_it_failed()
    {
        var health = await (await TestApi.Shared).Client.GetFromJsonAsync<JsonElement>("/health");
        Assert.DoesNotContain("Exception", health.ToString(), StringComparison.Ordinal);
    }

    private static Task<HttpResponseMessage> Send(HttpClient client, string path, string json) => client.PostAsync(path, new StringContent(json, Encoding.UTF8, "application/json"));
}
