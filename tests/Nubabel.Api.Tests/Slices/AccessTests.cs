using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Host.Tokens;
using Nubabel.Api.Operators;
using Nubabel.Domain;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Slices;

public class AccessTests
{
    [Fact]
    public async Task A_slug_belongs_to_the_first_who_takes_it()
    {
        var api = await TestApi.Shared;
        var acme = await api.SignUp();
        var body = new { organization = new { name = "Other", slug = acme.Slug }, email = "eve@example.com", password = TestTenant.Password, name = "Eve" };
        var problem = await api.Client.Post("/api/signup", body).Refused(409, "organization.slug_taken");
        Assert.Equal("organization.slug", problem.GetProperty("errors")[0].Text("field"));
    }

    [Fact]
    public async Task Sign_up_can_be_closed()
    {
        await using var api = await TestApi.Start(await TestDatabase.Shared, settings => settings["Signup:Mode"] = "closed");
        var body = new { organization = new { name = "Acme", slug = "closed" }, email = "ada@example.com", password = TestTenant.Password, name = "Ada" };
        await api.Client.Post("/api/signup", body).Refused(403, "signup.closed");
    }

    [Fact]
    public async Task All_faults_of_a_sign_up_are_named_at_once()
    {
        var body = new { organization = new { name = "", slug = "Not A Slug" }, email = "nobody", password = "short", name = "Ada" };
        var problem = await (await TestApi.Shared).Client.Post("/api/signup", body).Refused(422, "body.invalid");
        Assert.Equal(["email", "organization.name", "organization.slug", "password"], problem.GetProperty("errors").EnumerateArray().Select(e => e.Text("field")).Order());
    }

    [Theory]
    [InlineData("slug")]
    [InlineData("id")]
    public async Task One_signs_in_by_the_slug_or_the_id_whatever_the_case_of_the_address(string by)
    {
        var acme = await (await TestApi.Shared).SignUp();
        var tokens = await acme.Api.Client.Post("/api/auth/sign-in",
            new { organization = by == "slug" ? acme.Slug : acme.Id, email = acme.Email.ToUpperInvariant(), password = TestTenant.Password }).Json();
        Assert.Equal(acme.Id, tokens.Text("organization_id"));
        Assert.Equal(acme.User, tokens.Text("user_id"));
        Assert.NotEqual(acme.Session, tokens.Text("session_id"));
        Assert.Equal("Bearer", tokens.Text("token_type"));
    }

    [Fact]
    public async Task Whatever_is_wrong_in_a_sign_in_the_answer_is_the_same()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var answers = new List<string>();
        foreach (var (organization, email, password) in new[] { ("no-such-org", acme.Email, TestTenant.Password), (acme.Slug, "nobody@example.com", TestTenant.Password), (acme.Slug, acme.Email, "wrong"), (acme.Slug, "no address", "wrong") })
        {
            var problem = await acme.Api.Client.Post("/api/auth/sign-in", new { organization, email, password }).Refused(401, "sign_in.failed");
            Assert.Equal("invalid_grant", problem.Text("error"));
            answers.Add(string.Join("|", problem.EnumerateObject().Where(m => m.Name != "requestId").Select(m => m.ToString())));
        }
        Assert.Single(answers.Distinct());
    }

    [Fact]
    public async Task A_refreshed_session_goes_on_with_the_successor()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var first = await acme.Api.Client.Post("/api/auth/refresh", new { refresh_token = acme.RefreshToken }).Json();
        Assert.NotEqual(acme.RefreshToken, first.Text("refresh_token"));
        using var client = acme.Api.As(first.Text("access_token"));
        Assert.Equal(acme.User, (await client.GetAsync("/api/user").Json()).Text("id"));
        var second = await acme.Api.Client.Post("/api/auth/refresh", new { refresh_token = first.Text("refresh_token") }).Json();
        Assert.Equal(acme.Session, second.Text("session_id"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("nbr")]
    [InlineData("nbr.a.b.0.c")]
    public async Task What_is_no_refresh_token_is_refused_as_rfc_6749_says(string token)
    {
        var problem = await (await TestApi.Shared).Client.Post("/api/auth/refresh", new { refresh_token = token }).Refused(400, "session.invalid_grant");
        Assert.Equal("invalid_grant", problem.Text("error"));
    }

    [Fact]
    public async Task A_forged_refresh_token_ends_nobodys_session()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var forged = string.Join('.', acme.RefreshToken.Split('.')[..4].Append(new string('A', 43)));
        await acme.Api.Client.Post("/api/auth/refresh", new { refresh_token = forged }).Refused(400, "session.invalid_grant");
        await acme.Api.Client.Post("/api/auth/refresh", new { refresh_token = acme.RefreshToken }).Json();
    }

    [Fact]
    public async Task A_token_carries_the_documented_claims_and_the_key_set_verifies_it()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var keys = await acme.Api.Client.GetFromJsonAsync<JsonElement>("/.well-known/jwks.json");
        var kid = Decoded(acme.AccessToken.Split('.')[0]).Text("kid");
        var jwk = keys.GetProperty("keys").EnumerateArray().Single(k => k.Text("kid") == kid);
        using var key = new Jwk(jwk.Text("kty"), jwk.Text("crv"), jwk.Text("x"), jwk.Text("y"), kid, jwk.Text("use"), jwk.Text("alg")).ToKey();
        var verdict = Jws.Verify(acme.AccessToken, _ => key, new JwsExpectations("http://nubabel.test", "nubabel", TimeProvider.System.GetUtcNow()));
        var claims = Assert.NotNull(verdict.Claims);
        Assert.Equal(["aud", "exp", "iat", "iss", "jti", "org", "role", "sid", "sub"], claims.EnumerateObject().Select(c => c.Name).Order());
        Assert.Equal((acme.Id, acme.User, acme.Session, "owner"), (claims.Text("org"), claims.Text("sub"), claims.Text("sid"), claims.Text("role")));
        Assert.InRange(claims.GetProperty("exp").GetInt64() - claims.GetProperty("iat").GetInt64(), 1, 900);
    }

    [Fact]
    public async Task Keys_rotate_without_refusing_a_valid_token()
    {
        await using var database = await TestDatabase.New();
        await using var api = await TestApi.Start(database);
        var acme = await api.SignUp();
        var keys = api.Services.GetRequiredService<SigningKeys>();
        var (kid, _) = await keys.Rotate(TimeSpan.Zero, CancellationToken.None);
        // Another node, which has just loaded the keys, signs with the new one; ours meets an unknown kid and looks again.
        await using var other = await TestApi.Start(database);
        var tokens = await other.Client.Post("/api/auth/sign-in", new { organization = acme.Slug, email = acme.Email, password = TestTenant.Password }).Json();
        Assert.Equal(kid, Decoded(tokens.Text("access_token").Split('.')[0]).Text("kid"));
        using var withNew = api.As(tokens.Text("access_token"));
        using var withOld = other.As(acme.AccessToken);
        Assert.Equal(acme.User, (await withNew.GetAsync("/api/user").Json()).Text("id"));
        Assert.Equal(acme.User, (await withOld.GetAsync("/api/user").Json()).Text("id"));
    }

    [Fact]
    public async Task A_key_that_is_published_ahead_does_not_sign_yet()
    {
        await using var database = await TestDatabase.New();
        await using var api = await TestApi.Start(database);
        var (kid, _) = await api.Services.GetRequiredService<SigningKeys>().Rotate(TimeSpan.FromMinutes(5), CancellationToken.None);
        await using var other = await TestApi.Start(database);
        var keys = await other.Client.GetFromJsonAsync<JsonElement>("/.well-known/jwks.json");
        Assert.Contains(keys.GetProperty("keys").EnumerateArray(), k => k.Text("kid") == kid);
        Assert.NotEqual(kid, Decoded((await other.SignUp()).AccessToken.Split('.')[0]).Text("kid"));
    }

    [Fact]
    public async Task Signing_out_ends_the_session()
    {
        var acme = await (await TestApi.Shared).SignUp();
        Assert.Equal(HttpStatusCode.NoContent, (await acme.Client.PostAsync("/api/auth/sign-out", null)).StatusCode);
        await acme.Api.Client.Post("/api/auth/refresh", new { refresh_token = acme.RefreshToken }).Refused(400, "session.invalid_grant");
        // Who has lost the answer asks again, and is signed out still.
        Assert.Equal(HttpStatusCode.NoContent, (await acme.Client.PostAsync("/api/auth/sign-out", null)).StatusCode);
    }

    [Fact]
    public async Task Head_is_get_without_the_body()
    {
        var acme = await (await TestApi.Shared).SignUp();
        using var get = await acme.Client.GetAsync("/api/organization");
        using var head = await acme.Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/api/organization"));
        Assert.Equal((get.StatusCode, get.Headers.ETag, get.Content.Headers.ContentLength), (head.StatusCode, head.Headers.ETag, head.Content.Headers.ContentLength));
        Assert.Empty(await head.Content.ReadAsByteArrayAsync());
        using var missing = await acme.Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/api/nowhere"));
        Assert.Equal(HttpStatusCode.NotFound, missing.StatusCode);
    }

    [Fact]
    public async Task Operators_have_a_realm_of_their_own()
    {
        var api = await TestApi.Shared;
        var acme = await api.SignUp();
        var email = $"op-{Guid.NewGuid():N}@example.com";
        await OperatorsApi.Add(api.Services.GetRequiredService<Node>(), api.Services.GetRequiredService<SignIns>(), api.Services.GetRequiredService<Passwords>(),
            Email.Parse(email), Password.Parse(TestTenant.Password), CancellationToken.None);
        var tokens = await api.Client.Post("/admin/auth/sign-in", new { email, password = TestTenant.Password }).Json();
        using var op = api.As(tokens.Text("access_token"));
        var projections = (await op.GetAsync("/api/admin/projections").Json()).GetProperty("projections").EnumerateArray().Select(p => p.Text("name"));
        Assert.Equal(["api_keys", "audit", "breach_letters", "breach_notices", "breaches", "consents", "consumers", "data_exports", "deliveries", "devices", "erasures", "flags", "invitations", "job_board", "jobs", "legal_holds", "members", "organizations", "processing_records", "purposes", "removed_accounts", "retention_policies", "retention_runs", "sessions", "unknown_aliases", "webhook_sources"], projections.Order());
        Assert.All((await op.GetAsync("/api/admin/migrations").Json()).GetProperty("items").EnumerateArray(), m => Assert.Equal("applied", m.Text("state")));

        Assert.Equal("platform:projections", (await acme.Client.GetAsync("/api/admin/projections").Refused(403, "permission.denied")).Text("required"));
        await op.GetAsync("/api/user").Refused(403, "permission.denied");
        await api.Client.GetAsync("/api/admin/projections").Refused(401, "credential.missing");
        await api.Client.Post("/api/auth/refresh", new { refresh_token = tokens.Text("refresh_token") }).Refused(400, "session.invalid_grant");
        await api.Client.Post("/admin/auth/refresh", new { refresh_token = acme.RefreshToken }).Refused(400, "session.invalid_grant");
        var refreshed = await api.Client.Post("/admin/auth/refresh", new { refresh_token = tokens.Text("refresh_token") }).Json();
        Assert.False(refreshed.TryGetProperty("organization_id", out _));
    }

    private static JsonElement Decoded(string part) => JsonElement.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(part));
}
