using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Slices;

/// <summary>Requests and what tests ask of their answers.</summary>
public static class Calls
{
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
    public static async Task<IReadOnlyList<JsonElement>> Items(this HttpClient client, string path, string? position = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (position is not null) request.Headers.Add("Nubabel-Min-Position", position);
        return [.. (await client.SendAsync(request).Json()).GetProperty("items").EnumerateArray()];
    }

    /// <summary>An answer as it is, once the read model has seen the position.</summary>
    public static async Task<string> Text(this HttpClient client, string path, string? position)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (position is not null) request.Headers.Add("Nubabel-Min-Position", position);
        using var answer = await client.SendAsync(request);
        answer.EnsureSuccessStatusCode();
        return await answer.Content.ReadAsStringAsync();
    }

    public static string Position(this HttpResponseMessage answer) => answer.Headers.GetValues("Nubabel-Position").Single();

    public static Task<HttpResponseMessage> Post(this HttpClient client, string path, object body) => client.PostAsJsonAsync(path, body);

    /// <summary>Waits until a read model has all that the log holds now.</summary>
    public static async Task HasSeen(this TestApi api, string model)
    {
        var last = await api.Database.Scalar<long>("select max(seq_id) from events.mt_events");
        Assert.True((await api.Services.GetRequiredService<Store.Positions>().Reached(model, last, TimeSpan.FromSeconds(20), CancellationToken.None)).Reached);
    }

    /// <summary>The trail as it is once it has seen all that the log holds now.</summary>
    public static async Task<IReadOnlyList<JsonElement>> Trail(this TestTenant who, string query)
    {
        await who.Api.HasSeen("audit");
        return await who.Client.Items("/api/audit-logs" + query);
    }
}
