using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Slices;

/// <summary>Requests and what tests ask of their answers.</summary>
public static class Calls
{
    /// <summary>How long a read model may be on its way before a test is wrong.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(20);

    public static async Task<JsonElement> Json(this Task<HttpResponseMessage> call, HttpStatusCode expected = HttpStatusCode.OK)
    {
        using var answer = await call;
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == expected, $"{(int)answer.StatusCode} where {(int)expected} was expected: {text}");
        return text.Length == 0 ? default : JsonElement.Parse(text);
    }

    /// <summary>A refusal with this status and code.</summary>
    public static async Task<JsonElement> Refused(this Task<HttpResponseMessage> call, int status, string code)
    {
        var problem = await call.Json((HttpStatusCode)status);
        Assert.Equal(code, problem.GetProperty("code").GetString());
        return problem;
    }

    public static string Text(this JsonElement json, string member) => json.GetProperty(member).GetString()!;

    /// <summary>A list's items once the read model has seen the position of that answer.</summary>
    public static async Task<IReadOnlyList<JsonElement>> Items(this HttpClient client, string path, string? position = null) =>
        [.. (await client.Get(path, position).Json()).GetProperty("items").EnumerateArray()];

    /// <summary>An answer as it is, once the read model has seen the position.</summary>
    public static async Task<string> Text(this HttpClient client, string path, string? position)
    {
        using var answer = await client.Get(path, position);
        answer.EnsureSuccessStatusCode();
        return await answer.Content.ReadAsStringAsync();
    }

    /// <summary>Asks again where the read model is still on its way, as the answer says: on a machine that runs the whole suite that may be after more than one wait.</summary>
    public static async Task<HttpResponseMessage> Get(this HttpClient client, string path, string? position)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            if (position is not null) request.Headers.Add("Nubabel-Min-Position", position);
            var answer = await client.SendAsync(request);
            var isOnItsWay = position is not null && answer.StatusCode == HttpStatusCode.ServiceUnavailable
                && (await answer.Content.ReadAsStringAsync()).Contains("\"projection.lagging\"", StringComparison.Ordinal);
            if (!isOnItsWay || TimeProvider.System.GetElapsedTime(began) > Longest) return answer;
            answer.Dispose();
        }
    }

    public static string Position(this HttpResponseMessage answer) => answer.Headers.GetValues("Nubabel-Position").Single();

    public static Task<HttpResponseMessage> Post(this HttpClient client, string path, object body) => client.PostAsJsonAsync(path, body);

    /// <summary>Waits until a read model has all that the log holds now.</summary>
    public static async Task HasSeen(this TestApi api, string model)
    {
        var last = await api.Database.Scalar<long>("select max(seq_id) from events.mt_events");
        Assert.True((await api.Services.GetRequiredService<Store.Positions>().Reached(model, last, Longest, CancellationToken.None)).Reached);
    }

    /// <summary>The trail as it is once it has seen all that the log holds now.</summary>
    public static async Task<IReadOnlyList<JsonElement>> Trail(this TestTenant who, string query)
    {
        await who.Api.HasSeen("audit");
        return await who.Client.Items("/api/audit-logs" + query);
    }
}
