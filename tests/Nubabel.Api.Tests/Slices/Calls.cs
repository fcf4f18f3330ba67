using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

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
}
