using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Nubabel.Api.Tests.Races;

namespace Nubabel.Api.Tests.DataExports;

/// <summary>A downloaded bundle, its checksums verified.</summary>
internal sealed record Bundle(IReadOnlyDictionary<string, byte[]> Files)
{
    public JsonElement Data => JsonElement.Parse(Files["data.json"]);

    public string Text(string name) => Encoding.UTF8.GetString(Files[name]);

    /// <summary>Starts one and waits for it; returns its place, without the file.</summary>
    public static async Task<string> Make(HttpClient client, string scope = "user", TimeSpan? within = null)
    {
        var started = await Reply.To(client, "POST", $"/api/{scope}/data-exports");
        Assert.True(started.Status == 202, started.ToString());
        return await Made(client, started.Location!, within);
    }

    public static async Task<string> Made(HttpClient client, string job, TimeSpan? within = null)
    {
        Reply reply = null!;
        await Burst.Until("the bundle is made", within ?? TimeSpan.FromSeconds(30), async () => (reply = await Reply.To(client, "GET", job)).Text("state") is "completed" or "failed");
        Assert.True(reply.Text("state") == "completed", reply.Body);
        var link = reply.Json.GetProperty("result").GetProperty("link").GetString()!;
        Assert.EndsWith("/content", link, StringComparison.Ordinal);
        return link[..^"/content".Length];
    }

    public static async Task<Bundle> Download(HttpClient client, string export)
    {
        using var answer = await client.GetAsync($"{export}/content");
        Assert.Equal("application/zip", answer.Content.Headers.ContentType?.MediaType);
        var bytes = await answer.Content.ReadAsByteArrayAsync();
        var shown = await Reply.To(client, "GET", export);
        Assert.Equal(shown.Text("sha256"), Convert.ToHexStringLower(SHA256.HashData(bytes)));
        Assert.Equal(shown.Json.GetProperty("bytes").GetInt64(), bytes.Length);
        return Of(bytes);
    }

    private static Bundle Of(byte[] zip)
    {
        using var archive = new ZipArchive(new MemoryStream(zip));
        var files = archive.Entries.ToDictionary(e => e.FullName, e =>
        {
            using var content = new MemoryStream();
            using var stream = e.Open();
            stream.CopyTo(content);
            return content.ToArray();
        });
        var manifest = JsonElement.Parse(files["manifest.json"]).GetProperty("files").EnumerateArray().ToDictionary(f => f.GetProperty("name").GetString()!, f => (f.GetProperty("bytes").GetInt64(), f.GetProperty("sha256").GetString()));
        Assert.Equal(files.Keys.Where(name => name != "manifest.json").Order(), manifest.Keys.Order());
        foreach (var (name, (size, sha256)) in manifest) Assert.Equal((files[name].LongLength, Convert.ToHexStringLower(SHA256.HashData(files[name]))), (size, sha256));
        return new Bundle(files);
    }
}
