using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Members;

public sealed class InvitationsTests
{
    private const string Password = "another good password";

    [Fact]
    public async Task Somebody_is_invited_and_becomes_a_member_who_is_signed_in()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var email = $"Bob@{acme.Slug}.example";
        var invited = await Invite(acme, email, "admin");
        var id = invited.Text("id");
        Assert.Equal((201, "\"1\"", $"/api/invitations/{id}"), (invited.Status, invited.ETag, invited.Location));
        Assert.Equal((email, "admin", $"user:{acme.User}"), (invited.Text("email"), invited.Text("role"), invited.Text("invitedBy")));
        Assert.StartsWith($"nbi.{acme.Id}.{id}.", invited.Text("token"), StringComparison.Ordinal);
        var listed = Assert.Single(await acme.Client.Items("/api/invitations", invited.Position));
        Assert.Equal((id, email), (listed.Text("id"), listed.Text("email")));
        Assert.False(listed.TryGetProperty("token", out _));
        Assert.Equal(304, (await Reply.To(acme.Client, "GET", $"/api/invitations/{id}", ifNoneMatch: "\"1\"")).Status);

        // The password is not what everybody knows: the address, the organization.
        foreach (var obvious in new[] { email, $"Acme {acme.Slug}" })
            Assert.Equal("password.too_obvious", (await Reply.To(acme.Api.Client, "POST", "/api/invitations/accept", new { token = invited.Text("token"), name = "Bob", password = obvious })).Code);
        var accepted = await Accept(acme, invited.Text("token"));
        Assert.Equal(201, accepted.Status);
        using var bob = acme.Api.As(accepted.Text("access_token"));
        var profile = await bob.GetAsync("/api/user").Json();
        Assert.Equal((accepted.Text("user_id"), "Bob", email, "admin"), (profile.Text("id"), profile.Text("name"), profile.Text("email"), profile.Text("role")));
        Assert.Empty(await acme.Client.Items("/api/invitations", accepted.Position));
        Assert.Equal([accepted.Text("user_id"), acme.User], (await acme.Client.Items("/api/members", accepted.Position)).Select(m => m.Text("id")));
        Assert.Equal(200, (await Reply.To(acme.Api.Client, "POST", "/api/auth/sign-in", new { organization = acme.Slug, email = email.ToUpperInvariant(), password = Password })).Status);
        await acme.Client.GetAsync($"/api/invitations/{id}").Refused(404, "invitation.missing");
        await acme.Client.DeleteAsync($"/api/invitations/{id}").Refused(404, "invitation.missing");
    }

    [Fact]
    public async Task Whoever_accepts_takes_no_password_that_everybody_knows_of_the_account()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var email = $"christopher.long@{acme.Slug}.example";
        var token = (await Invite(acme, email, "member")).Text("token");
        foreach (var obvious in (string[])[email, "christopher.long", $"Acme {acme.Slug}"])
            await acme.Api.Client.Post("/api/invitations/accept", new { token, name = "Bob", password = obvious }).Refused(422, "password.too_obvious");
        Assert.Equal(201, (await Accept(acme, token)).Status);
    }

    [Fact]
    public async Task The_invitation_is_mailed_once_with_a_link_that_works()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var body = new { email = $"bob@{acme.Slug}.example", role = "admin" };
        var invited = await Reply.To(acme.Client, "POST", "/api/invitations", body, "once");
        Assert.Equal(invited, await Reply.To(acme.Client, "POST", "/api/invitations", body, "once"));
        var letter = await acme.Api.LetterTo(body.email);
        Assert.Contains($"Acme {acme.Slug}", letter.Subject, StringComparison.Ordinal);
        Assert.Contains("as an admin", letter.Text, StringComparison.Ordinal);
        Assert.Contains("/accept-invitation#nbi.", letter.Html, StringComparison.Ordinal);
        Assert.Equal(invited.Text("token"), letter.Token);
        Assert.Equal(201, (await Accept(acme, letter.Token)).Status);
        // The next letter is out, so a second one of the first would be too.
        Assert.Equal(201, (await Invite(acme, $"eve@{acme.Slug}.example")).Status);
        await acme.Api.LetterTo($"eve@{acme.Slug}.example");
        Assert.Single(acme.Api.LettersTo(body.email));
    }

    [Fact]
    public async Task The_address_is_sealed_for_the_invitation_and_then_anew_for_the_user()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var invited = await Invite(acme, $"bob@{acme.Slug}.example");
        var user = (await Accept(acme, invited.Text("token"))).Text("user_id");
        Assert.Equal($"invitation-{invited.Text("id")}", await Subject("invitation_issued", $"invitation-{invited.Text("id")}"));
        Assert.Equal($"user-{user}", await Subject("user_registered", $"user-{user}"));

        Task<string> Subject(string type, string stream) =>
            acme.Api.Database.Scalar<string>($"select data->'email'->>'s' from events.mt_events where tenant_id = '{acme.Id}' and type = '{type}' and stream_id = '{stream}'");
    }

    [Fact]
    public async Task An_owner_is_invited_by_owners_only_and_counts_as_one()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var admin = await acme.Colleague(Role.Admin);
        Assert.Equal("owners:write", (await Invite(admin, $"eve@{acme.Slug}.example", "owner")).Json.Text("required"));
        var accepted = await Accept(acme, (await Invite(acme, $"eve@{acme.Slug}.example", "owner")).Text("token"));
        Assert.Equal(201, accepted.Status);
        await acme.Client.DeleteAsync($"/api/members/{acme.User}").Json(HttpStatusCode.NoContent);
        using var eve = acme.Api.As(accepted.Text("access_token"));
        await eve.DeleteAsync($"/api/members/{accepted.Text("user_id")}").Refused(409, "organization.last_owner");
    }

    [Fact]
    public async Task An_address_has_one_open_invitation_and_one_account()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var first = await Invite(acme, $"bob@{acme.Slug}.example");
        var again = await Invite(acme, $"BOB@{acme.Slug}.example");
        Assert.Equal((409, "invitation.exists"), (again.Status, again.Code));
        Assert.Equal("user.email_taken", (await Invite(acme, acme.Email)).Code);
        Assert.Equal(204, (await Reply.To(acme.Client, "DELETE", $"/api/invitations/{first.Text("id")}")).Status);
        await acme.Client.DeleteAsync($"/api/invitations/{first.Text("id")}").Refused(404, "invitation.missing");
        Assert.Equal(201, (await Invite(acme, $"BOB@{acme.Slug}.example")).Status);
        Assert.Equal(201, (await Invite(await (await TestApi.Shared).SignUp(), $"bob@{acme.Slug}.example")).Status);
    }

    [Fact]
    public async Task Whatever_is_wrong_with_a_token_the_answer_is_the_same()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var (used, withdrawn, open) = (await Invite(acme, $"a@{acme.Slug}.example"), await Invite(acme, $"b@{acme.Slug}.example"), await Invite(acme, $"c@{acme.Slug}.example"));
        Assert.Equal(201, (await Accept(acme, used.Text("token"))).Status);
        Assert.Equal(204, (await Reply.To(acme.Client, "DELETE", $"/api/invitations/{withdrawn.Text("id")}")).Status);
        var token = open.Text("token").Split('.');
        var forged = new string('A', 43);
        string[] wrong =
        [
            used.Text("token"), withdrawn.Text("token"), $"nbi.{token[1]}.{token[2]}.{forged}", $"nbi.{token[1]}.{Guid.CreateVersion7()}.{token[3]}", $"nbi.{Guid.CreateVersion7()}.{token[2]}.{token[3]}",
            $"nbi.{token[1]}.{used.Text("id")}.{token[3]}", $"NBI.{token[1]}.{token[2]}.{token[3]}", open.Text("token") + ".", open.Text("token")[..^1], token[3], "", "nbi....", new string('x', 5000),
            $"nbi.{token[1].ToUpperInvariant()}.{token[2]}.{token[3]}", $"nbi.*DEFAULT*.{token[2]}.{token[3]}",
        ];
        var answers = new HashSet<string>();
        foreach (var text in wrong)
        {
            var reply = await Accept(acme, text);
            Assert.Equal((422, "invitation.token_invalid"), (reply.Status, reply.Code));
            answers.Add(string.Join(';', reply.Json.EnumerateObject().Where(m => m.Name != "requestId").Select(m => m.ToString())));
        }
        Assert.Single(answers);
        Assert.Equal(201, (await Accept(acme, open.Text("token"))).Status);
    }

    [Fact]
    public async Task A_repeated_invitation_is_answered_with_the_same_token_also_when_it_is_long_over()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var (body, key) = (new { email = $"bob@{acme.Slug}.example", role = "member" }, "once");
        var first = await Reply.To(acme.Client, "POST", "/api/invitations", body, key);
        Assert.Equal(201, first.Status);
        Assert.Equal(first, await Reply.To(acme.Client, "POST", "/api/invitations", body, key));
        Assert.Equal(201, (await Accept(acme, first.Text("token"))).Status);
        Assert.Equal(first, await Reply.To(acme.Client, "POST", "/api/invitations", body, key));
        // Neither the token nor its secret is stored anywhere, not even for the repetition.
        var secret = first.Text("token").Split('.')[3];
        Assert.DoesNotContain(secret, await acme.Api.Database.Scalar<string>($"select coalesce(string_agg(data::text, ' '), '') from events.mt_events where tenant_id = '{acme.Id}'"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_repeated_acceptance_is_answered_with_the_same_tokens()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var token = (await Invite(acme, $"bob@{acme.Slug}.example")).Text("token");
        var body = new { token, name = "Bob", password = Password };
        var first = await Reply.To(acme.Api.Client, "POST", "/api/invitations/accept", body, $"k-{acme.Slug}");
        Assert.Equal(201, first.Status);
        Assert.Equal(first, await Reply.To(acme.Api.Client, "POST", "/api/invitations/accept", body, $"k-{acme.Slug}"));
        Assert.Equal("invitation.token_invalid", (await Reply.To(acme.Api.Client, "POST", "/api/invitations/accept", body, $"other-{acme.Slug}")).Code);
    }

    [Fact]
    public async Task What_is_asked_wrongly_makes_no_invitation()
    {
        var acme = await (await TestApi.Shared).SignUp();
        await acme.Client.PostAsJsonAsync("/api/invitations", new { email = "no address", role = "member" }).Refused(422, "email.invalid");
        await acme.Client.PostAsJsonAsync("/api/invitations", new { email = "a@b.example", role = "boss" }).Refused(422, "user.role_invalid");
        await (await acme.Colleague()).Client.PostAsJsonAsync("/api/invitations", new { email = "a@b.example", role = "viewer" }).Refused(403, "permission.denied");
        var token = (await Invite(acme, $"bob@{acme.Slug}.example")).Text("token");
        await acme.Api.Client.PostAsJsonAsync("/api/invitations/accept", new { token, name = "Bob", password = "short" }).Refused(422, "password.too_short");
        await acme.Api.Client.PostAsJsonAsync("/api/invitations/accept", new { token, name = "", password = Password }).Refused(422, "name.invalid");
        Assert.Equal(201, (await Accept(acme, token)).Status);
    }

    [Fact]
    public async Task A_suspended_organization_takes_nobody_in()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var token = (await Invite(acme, $"bob@{acme.Slug}.example")).Text("token");
        await Operate(acme, new SuspendOrganization());
        await Burst.Until("a suspended organization is shut", TimeSpan.FromSeconds(5), async () => (await Accept(acme, "nothing")).Status == 422 && (await Reply.To(acme.Client, "GET", "/api/user")).Code == "organization.suspended");
        Assert.Equal((403, "organization.suspended"), ((await Accept(acme, token)).Status, (await Accept(acme, token)).Code));
        // A token that is wrong tells nothing of the organization.
        Assert.Equal("invitation.token_invalid", (await Accept(acme, token[..^2] + "AA")).Code);
        await Operate(acme, new ReactivateOrganization());
        await Burst.Until("a reactivated organization is open", TimeSpan.FromSeconds(5), async () => (await Accept(acme, token)).Status == 201);
    }

    [Fact]
    public async Task The_limit_of_members_counts_open_invitations()
    {
        var acme = await (await TestApi.Shared).SignUp();
        await Operate(acme, new ChangeTerms(Limits: new OrganizationLimits(Members: 3)));
        await Burst.Until("the limit counts", TimeSpan.FromSeconds(5), async () => (await Standing(acme)).Limits?.Members == 3);
        var (first, second) = (await Invite(acme, $"a@{acme.Slug}.example"), await Invite(acme, $"b@{acme.Slug}.example"));
        Assert.Equal(201, second.Status);
        await acme.Client.Items("/api/invitations", second.Position);
        Assert.Equal((409, "organization.members_limit"), ((await Invite(acme, $"c@{acme.Slug}.example")).Status, (await Invite(acme, $"c@{acme.Slug}.example")).Code));
        // Their places are kept.
        var accepted = await Accept(acme, first.Text("token"));
        Assert.Equal(201, accepted.Status);
        await acme.Client.Items("/api/members", accepted.Position);
        await Operate(acme, new ChangeTerms(Limits: new OrganizationLimits(Members: 2)));
        await Burst.Until("the lowered limit counts", TimeSpan.FromSeconds(5), async () => (await Standing(acme)).Limits?.Members == 2);
        Assert.Equal("organization.members_limit", (await Accept(acme, second.Text("token"))).Code);
    }

    internal static Task<Reply> Invite(TestTenant by, string email, string role = "member") => Reply.To(by.Client, "POST", "/api/invitations", new { email, role });

    internal static Task<Reply> Accept(TestTenant at, string token) => Reply.To(at.Api.Client, "POST", "/api/invitations/accept", new { token, name = "Bob", password = Password });

    private static async Task<Organization> Standing(TestTenant tenant) => await tenant.Api.Services.GetRequiredService<Standings>().Of(tenant.Id, Id<Organization>.Parse(tenant.Id));

    private static async Task Operate(TestTenant tenant, Command<Organization> command) =>
        await tenant.Api.Services.GetRequiredService<Node>().Journal(tenant.Id, new Origin("system:test")).Handle(Id<Organization>.Parse(tenant.Id), command, CancellationToken.None);
}
