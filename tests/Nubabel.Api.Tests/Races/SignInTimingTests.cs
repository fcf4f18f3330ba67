using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>Nobody learns from a refused sign-in who has an account: neither from the words nor from the time.</summary>
[Collection(Alone.Name)]
public sealed class SignInTimingTests
{
    private const int Rounds = 30;
    private const double Within = 1.2;

    [Fact]
    public async Task An_unknown_organization_an_unknown_address_and_a_wrong_password_take_equally_long_and_read_the_same()
    {
        await using var api = await TestApi.Start(
            await TestDatabase.Shared, settings => settings["Limits:FailedSignIns"] = "1000", builder => builder.Services.AddSingleton(new Passwords()));
        var acme = await api.SignUp();
        // Addresses are guessed once each, so those that nobody has are new every time; the lock-out, which is the same for all three, stays out of it.
        Func<object>[] wrong =
        [
            () => new { organization = "no-such-organization", email = $"{Guid.NewGuid():N}@example.com", password = TestTenant.Password },
            () => new { organization = acme.Slug, email = $"{Guid.NewGuid():N}@example.com", password = TestTenant.Password },
            () => new { organization = acme.Slug, email = acme.Email, password = "not the right password" },
        ];

        // Other work on the machine falls on all three by chance, so an unlucky measurement is taken again.
        var measured = new List<string>();
        for (var attempt = 0; attempt < 3; attempt++)
        {
            var medians = await Medians(api, wrong);
            if (medians.Max() <= medians.Min() * Within) return;
            measured.Add(string.Join(" / ", medians.Select(m => $"{m:0.0} ms")));
        }
        Assert.Fail($"Medians apart by more than {Within}: {string.Join("; ", measured)}");
    }

    private static async Task<double[]> Medians(TestApi api, Func<object>[] wrong)
    {
        var times = wrong.Select(_ => new List<double>()).ToArray();
        var bodies = new HashSet<string>();
        for (var round = 0; round < Rounds; round++)
        {
            for (var i = 0; i < wrong.Length; i++)
            {
                // Interleaved, and each round in another order.
                var which = (i + round) % wrong.Length;
                var started = TimeProvider.System.GetTimestamp();
                var reply = await Reply.To(api.Client, "POST", "/api/auth/sign-in", wrong[which]());
                times[which].Add(TimeProvider.System.GetElapsedTime(started).TotalMilliseconds);
                Assert.Equal((401, "sign_in.failed", "invalid_grant"), (reply.Status, reply.Code, reply.Text("error")));
                var body = JsonNode.Parse(reply.Body)!.AsObject();
                body.Remove("requestId");
                bodies.Add(body.ToJsonString());
            }
        }
        Assert.Single(bodies);
        return [.. times.Select(t => t.Order().ElementAt(Rounds / 2))];
    }
}
