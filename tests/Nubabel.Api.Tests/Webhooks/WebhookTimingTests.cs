using Nubabel.Api.Tests.Races;
using Nubabel.Api.Webhooks;
using Nubabel.Testing;
using static Nubabel.Api.Tests.Webhooks.WebhookNodes;

namespace Nubabel.Api.Tests.Webhooks;

/// <summary>Nobody learns by the clock whether anybody takes webhooks at an address: a wrong signature of who is there and any of who is not take equally long.</summary>
[Collection(Alone.Name)]
public sealed class WebhookTimingTests
{
    private const int Rounds = 41;
    private const double Within = 1.3;

    [Fact]
    public async Task A_provider_that_is_there_and_one_that_is_not_take_equally_long()
    {
        await using var api = await TestApi.Start(await TestDatabase.Shared, settings => settings["WEBHOOK_SECRET_ACME"] = Secret);
        var tenant = await api.SignUp();
        var removed = await Reply.To(tenant.Client, "POST", "/api/webhook-sources", new { provider = "acme" });
        await Reply.To(tenant.Client, "DELETE", removed.Location!);
        // Small, so that a look-up in the database that others are spared would show.
        var body = "{}";
        string[] paths = ["/api/webhooks/acme", "/api/webhooks/nobody", "/api/webhooks/acme/" + new string('A', 64), removed.Text("path")];
        var headers = new Dictionary<string, string> { ["x-webhook-event-id"] = "e", ["x-webhook-timestamp"] = "1700000000", ["x-webhook-signature"] = new('0', 64) };
        await Burst.Until("the removal is known", TimeSpan.FromSeconds(10), async () => (await Send(api.Client, paths[3], body, headers)).Status == 404);

        var measured = new List<string>();
        for (var attempt = 0; attempt < 4; attempt++)
        {
            var medians = await Medians(api, paths, body, headers);
            if (medians.Max() <= medians.Min() * Within) return;
            measured.Add(string.Join(" / ", medians.Select(m => $"{m:0.0} ms")));
        }
        Assert.Fail($"Medians apart by more than {Within}: {string.Join("; ", measured)}");
    }

    /// <summary>Of a large body the signature is what takes time.</summary>
    [Fact]
    public void A_signature_is_worked_out_as_often_whether_there_are_secrets_or_not()
    {
        var body = new byte[1024 * 1024];
        byte[][][] keys = [[], [[1]], [[1], [2]]];
        var measured = new List<string>();
        for (var attempt = 0; attempt < 4; attempt++)
        {
            var times = keys.Select(_ => new List<double>()).ToArray();
            for (var round = 0; round < 3 * Rounds; round++)
            {
                var which = round % keys.Length;
                var started = TimeProvider.System.GetTimestamp();
                Assert.False(Signed.None.IsBy(keys[which], body));
                times[which].Add(TimeProvider.System.GetElapsedTime(started).TotalMilliseconds);
            }
            var medians = times.Select(t => t.Order().ElementAt(t.Count / 2)).ToArray();
            if (medians.Max() <= medians.Min() * Within) return;
            measured.Add(string.Join(" / ", medians.Select(m => $"{m:0.00} ms")));
        }
        Assert.Fail($"Medians apart by more than {Within}: {string.Join("; ", measured)}");
    }

    private static async Task<double[]> Medians(TestApi api, string[] paths, string body, Dictionary<string, string> headers)
    {
        var times = paths.Select(_ => new List<double>()).ToArray();
        for (var round = 0; round < Rounds; round++)
        {
            for (var i = 0; i < paths.Length; i++)
            {
                // Interleaved, and each round in another order.
                var which = (i + round) % paths.Length;
                var started = TimeProvider.System.GetTimestamp();
                var reply = await Send(api.Client, paths[which], body, headers);
                times[which].Add(TimeProvider.System.GetElapsedTime(started).TotalMilliseconds);
                Assert.Equal(which == 0 ? 401 : 404, reply.Status);
            }
        }
        return [.. times.Select(t => t.Order().ElementAt(Rounds / 2))];
    }
}
