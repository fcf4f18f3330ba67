using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Nubabel.Api.Host;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Host;

public sealed class LogOutputTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    private static LogOutput To(Stream stream) => new(new LogLines(new HttpContextAccessor(), TimeProvider.System, LogLinesForm.Text, "nubabel-backend"), stream);

    private static void Say(ILogger logger, string text) => logger.Log(LogLevel.Information, default, text, null, (state, _) => state);

    [Fact]
    public async Task Every_line_of_every_thread_arrives_once_and_whole()
    {
        const int threads = 8, each = 500;
        using var stream = new MemoryStream();
        using (var output = To(stream))
        {
            var logger = output.CreateLogger("Test");
            await Task.WhenAll(Enumerable.Range(0, threads).Select(t => Task.Run(() =>
            {
                // Characters of two halves, so that a cut between two writes would show.
                for (var i = 0; i < each; i++) Say(logger, $"<{t}:{i}:😀{new string('x', i)}>");
            })));
        }
        var lines = Encoding.UTF8.GetString(stream.ToArray()).TrimEnd('\n').Split('\n');
        Assert.Equal(threads * each, lines.Length);
        for (var t = 0; t < threads; t++)
            // In the order in which the thread has said them.
            Assert.Equal(Enumerable.Range(0, each).Select(i => $"<{t}:{i}:😀{new string('x', i)}>"), lines.Where(l => l.Contains($"<{t}:", StringComparison.Ordinal)).Select(l => l[l.IndexOf('<', StringComparison.Ordinal)..(l.IndexOf('>', StringComparison.Ordinal) + 1)]));
    }

    [Fact]
    public async Task A_line_is_written_soon_and_without_another_one_behind_it()
    {
        using var stream = new Gate(open: true);
        using var output = To(stream);
        Say(output.CreateLogger("Test"), "alone");
        await stream.Wrote("alone").WaitAsync(Bound);
    }

    [Fact]
    public async Task Whoever_logs_waits_while_nobody_reads_and_loses_nothing()
    {
        using var stream = new Gate(open: false);
        const int many = 1_000;
        var text = new string('y', 10_000);
        var output = To(stream);
        var logger = output.CreateLogger("Test");
        var said = Task.Run(() =>
        {
            for (var i = 0; i < many; i++) Say(logger, $"{i}:{text}");
        });
        // Ten million characters are more than may gather while as many are being written.
        await Assert.ThrowsAsync<TimeoutException>(() => said.WaitAsync(TimeSpan.FromMilliseconds(500)));
        stream.Open();
        await said.WaitAsync(Bound);
        output.Dispose();
        Assert.Equal(many, stream.Text.Count(c => c == '\n'));
    }

    [Fact]
    public void What_is_left_is_written_at_the_end_and_the_end_may_come_twice()
    {
        using var stream = new MemoryStream();
        var output = To(stream);
        Say(output.CreateLogger("Test"), "last words");
        output.Dispose();
        output.Dispose();
        Assert.Contains("last words", Encoding.UTF8.GetString(stream.ToArray()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_writes_each_line_to_one_console()
    {
        var providers = (await TestApi.Shared).Services.GetServices<ILoggerProvider>().ToArray();
        Assert.Single(providers.OfType<LogOutput>());
        // The builder brings one along.
        Assert.DoesNotContain(providers, p => p.GetType().Name.Contains("Console", StringComparison.Ordinal));
    }

    /// <summary>A reader that can be made to wait.</summary>
    private sealed class Gate : MemoryStream
    {
        private readonly ManualResetEventSlim opened = new();
        private readonly StringBuilder text = new();
        private readonly TaskCompletionSource wrote = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private string? expected;

        public Gate(bool open)
        {
            if (open) opened.Set();
        }

        public string Text
        {
            get
            {
                lock (text) return text.ToString();
            }
        }

        public void Open() => opened.Set();

        public Task Wrote(string wanted)
        {
            lock (text)
            {
                expected = wanted;
                if (text.ToString().Contains(wanted, StringComparison.Ordinal)) wrote.TrySetResult();
            }
            return wrote.Task;
        }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            opened.Wait(Bound);
            lock (text)
            {
                text.Append(Encoding.UTF8.GetString(buffer));
                if (expected is not null && text.ToString().Contains(expected, StringComparison.Ordinal)) wrote.TrySetResult();
            }
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));
    }
}
