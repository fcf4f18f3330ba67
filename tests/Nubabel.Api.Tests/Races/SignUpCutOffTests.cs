using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>A sign-up reserves the slug, appends, confirms, and may be cut off between any two of these.</summary>
[Collection(TwoNodes.Name)]
public sealed class SignUpCutOffTests(TwoNodes nodes)
{
    [Fact]
    public async Task A_slug_whose_sign_up_never_came_to_its_append_is_free_again_after_its_time()
    {
        var (slug, gone) = (Slug(), Guid.CreateVersion7());
        Assert.True(await nodes.Database.Database.Api.Reserve(slug, gone, 120));
        Assert.Equal((409, "organization.slug_taken"), await SignUp(slug) is var taken ? (taken.Status, taken.Code) : default);
        // The same sign-up, tried again, meets its own reservation.
        Assert.True(await nodes.Database.Database.Api.Reserve(slug, gone, 1));
        await RunOut(slug);

        var replies = await Burst.Of(8, _ => SignUp(slug));
        Assert.Single(replies, r => r.Status == 201);
        Assert.Equal(7, replies.Count(r => r.Code == "organization.slug_taken"));
        Assert.False(await nodes.Database.Database.Api.Reserve(slug, gone, 1));
        Assert.Equal("active", await State(slug));
    }

    [Fact]
    public async Task A_sign_up_cut_off_before_its_confirmation_can_sign_in_and_keeps_its_slug()
    {
        var slugs = new[] { Slug(), Slug() };
        foreach (var slug in slugs)
        {
            Assert.Equal(201, (await SignUp(slug)).Status);
            await nodes.Database.Run($"update nubabel.directory set state = 'reserved', expires = now() + interval '1 minute' where slug = '{slug}'");
        }

        Assert.Equal(200, (await SignIn(slugs[0])).Status);
        Assert.Equal("active", await State(slugs[0]));

        await RunOut(slugs[1]);
        Assert.Equal("organization.slug_taken", (await SignUp(slugs[1])).Code);
        Assert.Equal("active", await State(slugs[1]));
        Assert.Equal(200, (await SignIn(slugs[1])).Status);
    }

    private static string Slug() => $"t{Guid.NewGuid():N}"[..24];

    private Task<Reply> SignUp(string slug) =>
        Reply.To(nodes.B.Client, "POST", "/api/signup", new { organization = new { name = "Acme", slug }, email = "ada@example.com", password = TestTenant.Password, name = "Ada" });

    private Task<Reply> SignIn(string slug) =>
        Reply.To(nodes.A.Client, "POST", "/api/auth/sign-in", new { organization = slug, email = "ada@example.com", password = TestTenant.Password });

    private Task RunOut(string slug) => nodes.Database.Run($"update nubabel.directory set expires = now() - interval '1 second' where slug = '{slug}'");

    private Task<string> State(string slug) => nodes.Database.Scalar<string>($"select state from nubabel.directory where slug = '{slug}'");
}

file static class Reserving
{
    /// <summary>As the server does it, with another time.</summary>
    public static async Task<bool> Reserve(this Npgsql.NpgsqlDataSource api, string slug, Guid organization, int seconds)
    {
        await using var command = api.CreateCommand($"select nubabel.directory_reserve('{slug}', '{organization}', 'main', {seconds})");
        return (bool)(await command.ExecuteScalarAsync())!;
    }
}
