using System.Collections.Concurrent;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Nubabel.Api.Host.Mail;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Host.Mail;

public sealed class PostTests
{
    private static readonly Letter Letter = new("ada@example.com", "Topsecret subject", ["Topsecret content"]);
    private static readonly MailSettings Settings = new() { From = new Mailbox(null, "no-reply@nubabel.example"), LinkBase = "https://app.example.com" };

    /// <summary>Carries when it is let.</summary>
    private sealed class Gate : ICarrier
    {
        public TaskCompletionSource Open { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
        public ConcurrentQueue<string> Carried { get; } = new();
        public Exception? Fails { get; init; }
        public int Attempts;

        public async Task Carry(Mime message, string subject, CancellationToken ct)
        {
            Interlocked.Increment(ref Attempts);
            await Open.Task.WaitAsync(ct);
            if (Fails is { } failure) throw failure;
            Carried.Enqueue(message.Id);
        }
    }

    private sealed class Lines : ILogger<Post>
    {
        public ConcurrentQueue<string> All { get; } = new();
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;
        public bool IsEnabled(LogLevel logLevel) => true;
        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => All.Enqueue(formatter(state, exception) + exception);
    }

    [Fact]
    public async Task A_full_post_refuses_at_once_and_says_so()
    {
        var (gate, lines) = (new Gate(), new Lines());
        using var post = new Post(Settings, gate, TimeProvider.System, lines);
        for (var i = 0; i < Post.MostLetters; i++) Assert.True(post.Send(Letter));
        Assert.False(post.Send(Letter));
        Assert.Contains("too many letters wait", Assert.Single(lines.All), StringComparison.Ordinal);
        gate.Open.SetResult();
        await post.StopAsync(CancellationToken.None);
        // What was taken before the end is delivered in it; after it nothing is taken.
        Assert.Equal(Post.MostLetters, gate.Carried.Count);
        Assert.Equal(0, post.Waiting);
        Assert.False(post.Send(Letter));
    }

    [Fact]
    public async Task A_stop_ends_the_pause_between_two_attempts()
    {
        var gate = new Gate { Fails = new NotCarried("The mail server answered 451.") };
        gate.Open.SetResult();
        var lines = new Lines();
        using var post = new Post(Settings, gate, TimeProvider.System, lines) { Pauses = [TimeSpan.FromHours(1)] };
        post.Send(Letter);
        await Until(() => post.Fault is not null);
        await post.StopAsync(CancellationToken.None);
        Assert.Equal(2, gate.Attempts);
        Assert.Equal(0, post.Waiting);
        Assert.Contains(lines.All, line => line.Contains("given up after 2 attempts: The mail server answered 451.", StringComparison.Ordinal));
        Assert.All(lines.All, line => Assert.False(line.Contains("ada@", StringComparison.Ordinal) || line.Contains("opsecret", StringComparison.Ordinal), line));
    }

    [Fact]
    public async Task What_is_refused_for_good_is_not_tried_again()
    {
        var gate = new Gate { Fails = new NotCarried("The mail server answered 550.", forGood: true) };
        gate.Open.SetResult();
        using var post = new Post(Settings, gate, TimeProvider.System, new Lines()) { Pauses = [TimeSpan.Zero, TimeSpan.Zero] };
        post.Send(Letter);
        post.Send(Letter with { To = "no address" });
        await Until(() => post.Waiting == 0);
        Assert.Equal(1, gate.Attempts);
    }

    [Fact]
    public async Task In_development_letters_are_private_files_and_their_names_tell_no_address()
    {
        var api = await TestApi.Shared;
        var address = $"ada-{Guid.NewGuid():N}@example.com";
        Assert.True(api.Services.GetRequiredService<Post>().Send(new Letter(address, "Set a new password!", ["Hello."])));
        Assert.Equal("Set a new password!", (await api.LetterTo(address)).Subject);
        var file = Directory.GetFiles(Path.Combine(api.Data, "mail")).First(f => File.ReadAllText(f).Contains(address, StringComparison.Ordinal));
        Assert.Matches(@"^\d{8}-\d{6}\.\d{3}-set-a-new-password-[0-9a-f]{6}\.eml$", Path.GetFileName(file));
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
    }

    [Fact]
    public async Task Without_a_mail_server_health_says_so_and_requests_are_served()
    {
        await using var database = await TestDatabase.New();
        await using var api = await TestApi.Start(database, build: builder => builder.Services.AddSingleton<ICarrier>(new NoCarrier()));
        using var answer = await api.Client.GetAsync("/health");
        Assert.Equal(System.Net.HttpStatusCode.OK, answer.StatusCode);
        var mail = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("components").GetProperty("mail");
        Assert.Equal("degraded", mail.GetProperty("status").GetString());
        Assert.Equal("Mail is not configured: Mail__Host is not set.", mail.GetProperty("detail").GetString());
        await api.SignUp();
    }

    private static async Task Until(Func<bool> holds)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!holds()) await Task.Delay(5, deadline.Token);
    }
}
