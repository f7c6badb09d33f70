/* A matrix product as one would write it down: y[B,K] += x[B,D] @ w[D,K]. The sizes are given when it is compiled. */
float x[B][D], w[D][K], y[B][K];

void begin(void);
void end(const char *phase);

__attribute__((noinline)) static void multiply(void) {
    for (int b = 0; b < B; b++)
        for (int d = 0; d < D; d++)
            for (int k = 0; k < K; k++)
                y[b][k] += x[b][d] * w[d][k];
}

int main(void) {
    begin();
    multiply();
    end("forward");
    return 0;
}
