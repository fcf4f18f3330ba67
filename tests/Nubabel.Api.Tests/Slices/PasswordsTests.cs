using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Host.Tokens;
using Nubabel.Api.Tests.Races;
using Nubabel.Domain;
using Nubabel.Domain.Sessions;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Slices;

public sealed class PasswordsTests
{
    private const string Ask = "/api/auth/password-reset";
    private const string Confirm = "/api/auth/password-reset/confirm";
    private const string New = "another battery of horses";

    private static Task<HttpResponseMessage> SignIn(TestTenant acme, string password, string? email = null) =>
        acme.Api.Client.Post("/api/auth/sign-in", new { organization = acme.Slug, email = email ?? acme.Email, password });

    private static async Task<string> Link(TestTenant acme, int letters = 1)
    {
        await acme.Api.Client.Post(Ask, new { organization = acme.Slug, email = acme.Email }).Json(HttpStatusCode.Accepted);
        return (await acme.Api.LetterTo(acme.Email, letters)).Token;
    }

    [Fact]
    public async Task A_mailed_link_sets_a_new_password_once_and_ends_every_session()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var token = await Link(acme);
        Assert.Matches($"^nbp\\.{acme.Id}\\.{acme.User}\\.[A-Za-z0-9_-]{{43}}$", token);
        Assert.Equal("Set a new password", acme.Api.LettersTo(acme.Email)[0].Subject);

        await acme.Api.Client.Post(Confirm, new { token, password = New }).Json(HttpStatusCode.NoContent);
        await SignIn(acme, TestTenant.Password).Refused(401, "sign_in.failed");
        await SignIn(acme, New).Json();
        await acme.Api.Client.Post("/api/auth/refresh", new { refresh_token = acme.RefreshToken }).Refused(400, "session.invalid_grant");
        await Burst.Until("the access token is refused", TimeSpan.FromSeconds(10), async () => (await Reply.To(acme.Client, "GET", "/api/user")).Code == "credential.revoked");
        await acme.Api.Client.Post(Confirm, new { token, password = New + "!" }).Refused(422, "password_reset.token_invalid");

        var notice = await acme.Api.LetterTo(acme.Email, 2);
        Assert.Equal("Your password was changed", notice.Subject);
        Assert.Contains($"Acme {acme.Slug}", notice.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Whoever_is_named_the_answer_is_the_same_and_nobody_else_gets_a_mail()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var bodies = new List<string>();
        foreach (var (organization, email) in new[] { ("no-such-organization", acme.Email), (acme.Slug, "nobody@" + acme.Slug + ".example"), (acme.Slug, "no address"), (new string('x', 5000), acme.Email), (acme.Slug, acme.Email.ToUpperInvariant()) })
        {
            using var answer = await acme.Api.Client.Post(Ask, new { organization, email });
            Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
            bodies.Add(await answer.Content.ReadAsStringAsync());
        }
        Assert.Equal([""], bodies.Distinct());
        // The last one was the account's, typed otherwise: the mail goes to the address of the account.
        await acme.Api.LetterTo(acme.Email);
        Assert.Empty(acme.Api.LettersTo("nobody@" + acme.Slug + ".example"));
        Assert.Single(acme.Api.LettersTo(acme.Email));
    }

    [Fact]
    public async Task A_wish_outlives_the_process_that_took_it_and_is_mailed_once()
    {
        await using var database = await TestDatabase.New();
        TestTenant acme;
        await using (var asked = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false"))
        {
            acme = await asked.SignUp();
            await asked.Client.Post(Ask, new { organization = acme.Slug, email = acme.Email }).Json(HttpStatusCode.Accepted);
            await asked.Client.Post(Ask, new { organization = acme.Slug, email = "nobody@example.org" }).Json(HttpStatusCode.Accepted);
        }
        // Whether there is such an account cannot be told from what waits either: one message each, and nothing to read in it.
        Assert.Equal(2, await database.Scalar<long>("select count(*) from nubabel.messages where tenant_id = '*DEFAULT*' and type = 'reset-wish'"));
        Assert.Equal(0, await database.Scalar<long>($"select count(*) from nubabel.messages m where m::text ilike '%{acme.Slug}%' or m::text ilike '%nobody%'"));
        // As after a crash between what a wish led to and the end of its message: it is handled once more.
        await database.Run("create table public.again as select * from nubabel.messages");
        await using var api = await TestApi.Start(database);
        await Burst.Until("the letter is sent", TimeSpan.FromSeconds(30), () => Task.FromResult(api.LettersTo(acme.Email).Count == 1));
        await Burst.Until("both are done", TimeSpan.FromSeconds(30), async () => await database.Scalar<long>("select count(*) from nubabel.messages") == 0);
        await database.Run("insert into nubabel.messages select * from public.again; insert into nubabel.ready_lanes (queue, tenant_id, lane) select queue, tenant_id, lane from public.again");
        await Burst.Until("it is handled again", TimeSpan.FromSeconds(30), async () => await database.Scalar<long>("select count(*) from nubabel.messages") == 0);
        Assert.Single(api.LettersTo(acme.Email));
        Assert.Equal(1, await database.Scalar<long>("select count(*) from events.mt_events where type = 'user_password_reset_requested'"));
        await api.Client.Post(Confirm, new { token = (await (acme with { Api = api }).Api.LetterTo(acme.Email)).Token, password = New }).Json(HttpStatusCode.NoContent);
    }

    [Fact]
    public async Task A_link_that_does_not_count_is_refused_in_one_way()
    {
        // On the shared database another node, by a clock that is not moved, might do some of the work, and this one some of other tests'.
        await using var database = await TestDatabase.New();
        var time = new MovableTime();
        await using var api = await TestApi.Start(database, time: time);
        var (acme, other) = (await api.SignUp(), await api.SignUp());
        var first = await Link(acme);
        var second = await Link(acme, letters: 2);
        var forged = second[..^43] + new string('A', 43);
        var moved = second.Replace(acme.Id, other.Id, StringComparison.Ordinal);
        time.Move(PasswordResetLife);
        var problems = new List<string>();
        foreach (var token in new[] { "", "nonsense", first, forged, moved, second, "nbp." + new string('x', 300) })
        {
            var problem = await api.Client.Post(Confirm, new { token, password = New }).Refused(422, "password_reset.token_invalid");
            problems.Add(string.Join("|", problem.EnumerateObject().Where(m => m.Name != "requestId").Select(m => m.ToString())));
        }
        Assert.Single(problems.Distinct());
        await SignIn(acme, TestTenant.Password).Json();
    }

    private static readonly TimeSpan PasswordResetLife = TimeSpan.FromMinutes(30);

    [Fact]
    public async Task Nobody_is_bombed_with_links()
    {
        // Whoever takes a wish counts by its own clock: on the shared database that might be a node whose clock is not moved.
        await using var database = await TestDatabase.New();
        var time = new MovableTime();
        await using var api = await TestApi.Start(database, time: time);
        var (acme, other) = (await api.SignUp(), await api.SignUp());
        await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => api.Client.Post(Ask, new { organization = acme.Slug, email = acme.Email }).Json(HttpStatusCode.Accepted)));
        await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => api.Client.Post(Ask, new { organization = other.Slug, email = other.Email }).Json(HttpStatusCode.Accepted)));
        await api.LetterTo(other.Email, 2);
        await api.LetterTo(acme.Email, 3);
        // Those of the thirty that are left must find the account's share used up, and not the next one's.
        await Burst.Until("all wishes are handled", TimeSpan.FromSeconds(30), async () => await api.Database.Scalar<long>("select count(*) from nubabel.messages where type = 'reset-wish'") == 0);
        time.Move(TimeSpan.FromMinutes(16));
        await Link(acme, letters: 4);
        Assert.Equal(4, api.LettersTo(acme.Email).Count);
    }

    [Fact]
    public async Task A_password_is_changed_for_the_current_one_and_the_other_sessions_end()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var other = await acme.SignIn();
        await acme.Client.PutAsJsonAsync("/api/user/password", new { current = "not the right one", @new = New }).Refused(422, "password.current_wrong");
        await acme.Client.PutAsJsonAsync("/api/user/password", new { current = TestTenant.Password, @new = New }).Json(HttpStatusCode.NoContent);

        await acme.Api.Client.Post("/api/auth/refresh", new { refresh_token = other.RefreshToken }).Refused(400, "session.invalid_grant");
        await acme.Api.Client.Post("/api/auth/refresh", new { refresh_token = acme.RefreshToken }).Json();
        await acme.Client.GetAsync("/api/user").Json();
        await SignIn(acme, TestTenant.Password).Refused(401, "sign_in.failed");
        await SignIn(acme, New).Json();
        Assert.Equal("Your password was changed", (await acme.Api.LetterTo(acme.Email)).Subject);
    }

    [Fact]
    public async Task A_change_that_is_repeated_under_one_key_happened_once()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var change = new { current = TestTenant.Password, @new = New };
        var first = await Reply.To(acme.Client, "PUT", "/api/user/password", change, key: "change-1");
        var again = await Reply.To(acme.Client, "PUT", "/api/user/password", change, key: "change-1");
        Assert.Equal(204, first.Status);
        Assert.Equal(first, again);
        var token = await Link(acme, letters: 2);
        var reset = await Reply.To(acme.Api.Client, "POST", Confirm, new { token, password = New + "s" }, key: "reset-1");
        Assert.Equal(204, reset.Status);
        Assert.Equal(reset, await Reply.To(acme.Api.Client, "POST", Confirm, new { token, password = New + "s" }, key: "reset-1"));
        await SignIn(acme, New + "s").Json();
    }

    [Fact]
    public async Task Guessing_the_current_password_counts_like_a_failed_sign_in()
    {
        var acme = await (await TestApi.Shared).SignUp();
        for (var i = 0; i < 10; i++) await acme.Client.PutAsJsonAsync("/api/user/password", new { current = $"guess {i}", @new = New }).Refused(422, "password.current_wrong");
        await acme.Client.PutAsJsonAsync("/api/user/password", new { current = TestTenant.Password, @new = New }).Refused(429, "sign_in.locked");
        await SignIn(acme, TestTenant.Password).Refused(429, "sign_in.locked");
    }

    [Fact]
    public async Task Common_and_obvious_passwords_are_refused_wherever_one_is_set()
    {
        var api = await TestApi.Shared;
        var acme = await api.SignUp();
        var token = await Link(acme);
        foreach (var (password, code) in new[] { ("Butterfly2026!", "password.too_common"), ($"Acme {acme.Slug}", "password.too_obvious"), (acme.Email, "password.too_obvious") })
        {
            await acme.Client.PutAsJsonAsync("/api/user/password", new { current = TestTenant.Password, @new = password }).Refused(422, code);
            await api.Client.Post(Confirm, new { token, password }).Refused(422, code);
        }
        var slug = $"t{Guid.NewGuid():N}"[..24];
        foreach (var (password, code) in new[] { ("Butterfly2026!", "password.too_common"), (slug, "password.too_obvious"), ("rocketeers-at-acme", "password.too_obvious") })
            await api.Client.Post("/api/signup", new { organization = new { name = "Rocketeers At Acme", slug }, email = $"ada@{slug}.example", password, name = "Ada" })
                .Refused(422, code == "password.too_obvious" && password.StartsWith("rocketeers", StringComparison.Ordinal) ? "password.too_obvious" : code);
    }

    [Fact]
    public async Task A_session_of_an_older_password_that_a_crash_left_alive_is_not_refreshed()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var services = acme.Api.Services;
        var (node, session) = (services.GetRequiredService<Node>(), new Id<Session>(Guid.CreateVersion7()));
        await acme.Client.PutAsJsonAsync("/api/user/password", new { current = TestTenant.Password, @new = New }).Json(HttpStatusCode.NoContent);
        // As a sign-in leaves it that had read the old hash, and whose node died behind the commit.
        var token = services.GetRequiredService<RefreshTokens>().Of(acme.Id, session, 0);
        var journal = node.Journal(acme.Id, new Origin($"user:{acme.User}"));
        await journal.Create(session, new OpenSession(token.Hash, journal.Now().AddDays(1), journal.Now().AddDays(2)), CancellationToken.None);
        await acme.Api.Client.Post("/api/auth/refresh", new { refresh_token = token.Text }).Refused(400, "session.invalid_grant");
        // The session that changed the password, and those opened since, go on.
        await acme.Api.Client.Post("/api/auth/refresh", new { refresh_token = acme.RefreshToken }).Json();
        var later = await SignIn(acme, New).Json();
        await acme.Api.Client.Post("/api/auth/refresh", new { refresh_token = later.Text("refresh_token") }).Json();
    }

    [Fact]
    public async Task A_sign_in_renews_a_hash_that_has_become_cheap()
    {
        await using var cheap = await TestApi.Start(await TestDatabase.Shared);
        var acme = await cheap.SignUp();
        await using var api = await TestApi.Start(await TestDatabase.Shared, build: builder => builder.Services.AddSingleton(new Passwords()));
        var user = Id<User>.Parse(acme.User);
        var journal = api.Services.GetRequiredService<Node>().Journal(acme.Id, new Origin("system:test"));
        var was = (await journal.Load(user, CancellationToken.None)).State.PasswordHash;
        var session = await api.Client.Post("/api/auth/sign-in", new { organization = acme.Slug, email = acme.Email, password = TestTenant.Password }).Json();
        await Burst.Until("the hash is another", TimeSpan.FromSeconds(20), async () => (await journal.Load(user, CancellationToken.None)).State.PasswordHash != was);
        var renewed = await journal.Load(user, CancellationToken.None);
        Assert.IsType<UserPasswordRehashed>((await renewed.Events(CancellationToken.None))[^1].Data);
        // The framework's form: a byte of version, then function, iterations, salt length.
        Assert.Equal(Passwords.Iterations, System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(Convert.FromBase64String(renewed.State.PasswordHash).AsSpan(5)));
        await api.Client.Post("/api/auth/sign-in", new { organization = acme.Slug, email = acme.Email, password = TestTenant.Password }).Json();
        await api.Client.Post("/api/auth/refresh", new { refresh_token = session.Text("refresh_token") }).Json();
        Assert.Equal(renewed.Version, (await journal.Load(user, CancellationToken.None)).Version);
    }
}
